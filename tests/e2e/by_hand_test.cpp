// The flow of the README, terminal by terminal: a network is made, workers join before and after
// the coordinator is there, are admitted, train, and the model is fetched and audited.
#include <gmock/gmock.h>
#include <signal.h>
#include <unistd.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "tests/e2e/federation.h"

namespace fedmesh::e2e {
namespace {

using nlohmann::json;
using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;

const std::string kOtherChain(64, '7');

// One federation serves all tests of the suite, which leave it as they find it.
class ByHand : public ::testing::Test {
 protected:
  static void SetUpTestSuite() {
    net_ = std::make_unique<Federation>();
    start_network();
    if (!HasFatalFailure()) admit_workers();
    if (!HasFatalFailure()) run_job();
  }
  static void TearDownTestSuite() {
    waiting_.reset();
    net_.reset();
  }

  static void start_network() {
    const Ran init = net_->fedmesh({"init", "--network", "test"});
    ASSERT_EQ(init.code, 0) << init.err;
    chain_ = init.out.substr(init.out.find("chain ") + 6, 64);
    const ReservedPort port;
    waiting_ = net_->begin({"job", "list", "--coordinator", ReservedPort().endpoint()});
    Process& early = net_->start_worker("early", {}, port.endpoint());
    ASSERT_TRUE(early.says("waiting for the coordinator at " + port.endpoint()));
    ASSERT_NO_FATAL_FAILURE(net_->start_coordinator(port.endpoint()));
    net_->start_worker("named", {"--network", genesis()});
    net_->start_worker("pinned", {"--chain", chain_});
    for (const char* name : kWorkers)
      ASSERT_TRUE(net_->worker(name).says("connected to coordinator")) << name;
  }

  static void admit_workers() {
    for (const std::string name : kWorkers) {
      const Ran key = net_->fedmesh({"key", "show", net_->path(name + "/node.key")});
      ASSERT_EQ(key.code, 0) << key.err;
      const std::string hex = key.out.substr(key.out.find("public key  ") + 12, 64);
      const Ran ran =
          net_->online({"node", "admit", hex, "--name", name, "--roles", "worker,validator"});
      ASSERT_EQ(ran.code, 0) << ran.err;
      EXPECT_THAT(ran.out, HasSubstr("has the roles worker,validator"));
    }
  }

  static void run_job() {
    JobText job;
    job.federation =
        "rounds = 2\nmax_participants = 3\nmin_updates = 3\nenrol_deadline = \"60s\"\n";
    job_ = net_->submit(job);
    const Ran watched = net_->online({"job", "watch", "small"});
    ASSERT_EQ(watched.code, 0) << watched.out << watched.err;
    EXPECT_THAT(watched.out, HasSubstr("finished: all rounds done"));
    const Ran fetched = net_->online({"job", "fetch", "small", "--out", net_->path("out")});
    ASSERT_EQ(fetched.code, 0) << fetched.err;
    EXPECT_THAT(fetched.out, HasSubstr("the audit holds"));
  }

  static std::string genesis() { return net_->path(".fedmesh/coordinator/genesis.fm"); }
  static Ran audit(const std::string& model, const std::string& ledger_export,
                   std::vector<std::string> more = {}) {
    more.insert(more.begin(), {"audit", model, "--ledger", ledger_export});
    return net_->fedmesh(more);
  }
  // A copy of the file with one byte changed.
  static std::string flipped(const std::string& file, double where) {
    std::string bytes = read_text(file);
    const auto at = static_cast<std::size_t>(where * static_cast<double>(bytes.size() - 1));
    bytes[at] = static_cast<char>(bytes[at] ^ 0x20);
    return net_->write("flipped", bytes);
  }

  static constexpr const char* kWorkers[] = {"early", "named", "pinned"};
  static inline std::unique_ptr<Federation> net_;
  static inline std::unique_ptr<Process> waiting_;  // a command for which nobody is there
  static inline std::string chain_;
  static inline std::string job_;
};

TEST_F(ByHand, InitMakesAHomeOnce) {
  for (const char* file : {"node.key", "operator.key", "owner.key", "genesis.fm"})
    EXPECT_FALSE(read_text(net_->path(std::string(".fedmesh/coordinator/") + file)).empty());
  const Ran again = net_->fedmesh({"init"});
  EXPECT_EQ(again.code, 1);
  EXPECT_THAT(again.err, HasSubstr("genesis.fm exists"));
}

TEST_F(ByHand, WorkersTrustTheFirstCoordinatorOrTheirPin) {
  EXPECT_THAT(net_->worker("early").output(),
              AllOf(HasSubstr("network test, taken on first use"), HasSubstr("--chain " + chain_)));
  EXPECT_EQ(read_text(net_->path("early/genesis.fm")), read_text(genesis()));
  EXPECT_THAT(net_->worker("named").output(), Not(HasSubstr("on first use")));

  Process& other = net_->start_worker("other", {"--chain", kOtherChain});
  EXPECT_EQ(other.wait(), 2);
  EXPECT_THAT(other.errors(), AllOf(HasSubstr("the coordinator's network is network " + chain_),
                                    HasSubstr("--chain pins " + kOtherChain)));
  EXPECT_EQ(read_text(net_->path("other/genesis.fm")), "");

  Process& named = net_->start_worker("other", {"--chain", kOtherChain, "--network", genesis()});
  EXPECT_EQ(named.wait(), 2);
  EXPECT_THAT(named.errors(), AllOf(HasSubstr("genesis.fm is network"), HasSubstr("--chain pins")));

  const Ran command = net_->online({"job", "list", "--chain", kOtherChain});
  EXPECT_EQ(command.code, 1);
  EXPECT_THAT(command.err, HasSubstr("unauthenticated"));
}

TEST_F(ByHand, NodesAreListedAndAdmittedByOperatorsAlone) {
  const Ran ran = net_->online({"node", "list", "--format", "json"});
  ASSERT_EQ(ran.code, 0) << ran.err;
  const auto nodes = json::parse(ran.out);
  for (const char* name : kWorkers) {
    const auto at = std::find_if(nodes.begin(), nodes.end(),
                                 [&](const auto& node) { return node.at("name") == name; });
    ASSERT_NE(at, nodes.end()) << name;
    EXPECT_EQ(at->at("roles"), "worker,validator");
    EXPECT_TRUE(at->at("connected").get<bool>()) << name;
  }
  const Ran by_owner = net_->online({"node", "admit", nodes[0].at("public_key"), "--roles", "none",
                                     "--key", net_->path(".fedmesh/coordinator/owner.key")});
  EXPECT_EQ(by_owner.code, 1);
  EXPECT_THAT(by_owner.err, HasSubstr("refused"));
  const Ran bad_role =
      net_->online({"node", "admit", nodes[0].at("public_key"), "--roles", "boss"});
  EXPECT_EQ(bad_role.code, 1);
  EXPECT_THAT(bad_role.err, HasSubstr("unknown role 'boss'; allowed: coordinator"));
}

TEST_F(ByHand, JobsAreListedAndShown) {
  const Ran table = net_->online({"job", "list"});
  EXPECT_EQ(table.code, 0);
  EXPECT_THAT(table.out, AllOf(HasSubstr("PHASE"), HasSubstr(job_.substr(0, 12))));
  const Ran listed = net_->online({"job", "list", "--format", "json"});
  const auto jobs = json::parse(listed.out);
  ASSERT_GE(jobs.size(), 1u);
  const auto at = std::find_if(jobs.begin(), jobs.end(),
                               [&](const auto& job) { return job.at("job") == job_; });
  ASSERT_NE(at, jobs.end());
  EXPECT_EQ(at->at("phase"), "finished");
  EXPECT_EQ(at->at("enrolled"), 3);

  const Ran shown = net_->online({"job", "show", job_.substr(0, 8)});
  EXPECT_EQ(shown.code, 0);
  EXPECT_THAT(shown.out, AllOf(HasSubstr("finished: all rounds done"), HasSubstr("enrolled  ")));
  const Ran as_json = net_->online({"job", "show", "small", "--format", "json"});
  const auto report = json::parse(as_json.out);
  EXPECT_EQ(report.at("job_id"), job_);
  EXPECT_EQ(report.at("chain_id"), chain_);
  EXPECT_EQ(report.at("rounds").size(), 2u);

  const Ran unknown = net_->online({"job", "show", "nosuch"});
  EXPECT_EQ(unknown.code, 1);
  EXPECT_THAT(unknown.err, HasSubstr("nosuch"));
}

TEST_F(ByHand, AJobThatWaitsSaysSoAndCanBeStoppedByItsOwner) {
  JobText job{.name = "waits"};
  job.federation = "rounds = 1\nmin_updates = 9\nenrol_deadline = \"100ms\"\n";
  ASSERT_FALSE(net_->submit(job).empty());
  const Ran watched = net_->online({"job", "watch", "waits", "--timeout", "1"});
  EXPECT_EQ(watched.code, 3) << watched.out;
  const Ran shown = net_->online({"job", "show", "waits"});
  EXPECT_THAT(shown.out, HasSubstr("of at least 9 workers enrolled"));
  const Ran fetched = net_->online({"job", "fetch", "waits", "--out", net_->path("none")});
  EXPECT_EQ(fetched.code, 3);
  EXPECT_THAT(fetched.err, HasSubstr("has released no model yet"));

  const Ran by_other =
      net_->online({"job", "stop", "waits", "--key", net_->path("early/node.key")});
  EXPECT_EQ(by_other.code, 1);
  EXPECT_THAT(by_other.err, HasSubstr("refused"));
  const Ran stopped = net_->online({"job", "stop", "waits", "--reason", "changed my mind"});
  EXPECT_EQ(stopped.code, 0) << stopped.err;
  const Ran over = net_->online({"job", "watch", "waits"});
  EXPECT_EQ(over.code, 1);
  EXPECT_THAT(over.out, AllOf(HasSubstr("stopped"), HasSubstr("changed my mind")));
}

TEST_F(ByHand, TheLedgerIsShownExportedAndVerified) {
  const Ran head = net_->online({"ledger", "head", "--format", "json"});
  ASSERT_EQ(head.code, 0) << head.err;
  const auto height = json::parse(head.out).at("height").get<int>();
  EXPECT_GT(height, 10);
  EXPECT_THAT(net_->online({"ledger", "head"}).out, HasSubstr("block " + std::to_string(height)));
  const auto first = json::parse(net_->online({"ledger", "show", "1", "--format", "json"}).out);
  EXPECT_EQ(first.at("parent"), chain_);
  EXPECT_EQ(first.at("records").at(0).at("kind"), "admit");
  const Ran beyond = net_->online({"ledger", "show", "99999"});
  EXPECT_EQ(beyond.code, 1);
  EXPECT_THAT(beyond.err, HasSubstr("there is no block 99999 yet"));
  EXPECT_EQ(net_->online({"ledger", "show", "zero"}).code, 1);

  const std::string file = net_->path("all.export");
  const Ran exported = net_->online({"ledger", "export", file});
  EXPECT_EQ(exported.code, 0) << exported.err;
  const Ran verified = net_->fedmesh({"ledger", "verify", file});
  EXPECT_EQ(verified.code, 0) << verified.err;
  EXPECT_THAT(verified.out, HasSubstr("verifies: chain " + chain_));
  const Ran broken = net_->fedmesh({"ledger", "verify", flipped(file, 0.5)});
  EXPECT_EQ(broken.code, 1);
  EXPECT_THAT(broken.err, AllOf(HasSubstr("flipped"), HasSubstr("block ")));
}

TEST_F(ByHand, TheAuditNamesThePlaceOfEveryFlip) {
  const std::string model = net_->path("out/model.safetensors");
  const std::string ledger_export = net_->path("out/ledger.export");
  const Ran good = audit(model, ledger_export, {"--genesis", genesis()});
  EXPECT_EQ(good.code, 0) << good.err;
  EXPECT_THAT(good.out, AllOf(HasSubstr("proved"), HasSubstr("attested 1 of 1"),
                              HasSubstr("claimed"), HasSubstr("early"), HasSubstr("pinned")));
  const Ran as_json = audit(model, ledger_export, {"--format", "json", "--chain", chain_});
  const auto report = json::parse(as_json.out);
  EXPECT_EQ(report.at("ledger").at("chain_id"), chain_);
  EXPECT_EQ(report.at("ledger").at("pinned"), true);
  EXPECT_EQ(report.at("model").at("round"), 2);

  for (const double where : {0.0, 0.3, 0.7, 1.0}) {
    const Ran by_model = audit(flipped(model, where), ledger_export);
    EXPECT_EQ(by_model.code, 1) << where;
    EXPECT_THAT(by_model.err, HasSubstr("flipped: its SHA-256 is")) << where;
    const Ran by_export = audit(model, flipped(ledger_export, where));
    EXPECT_EQ(by_export.code, 1) << where;
    EXPECT_THAT(by_export.err, HasSubstr("flipped: ")) << where;
  }
  const Ran other = audit(model, ledger_export, {"--chain", kOtherChain});
  EXPECT_EQ(other.code, 1);
  EXPECT_THAT(other.err, HasSubstr("it is of chain " + chain_));
  EXPECT_EQ(audit(net_->path("nosuch"), ledger_export).code, 1);
}

TEST_F(ByHand, NobodyThereIsSaidAfterTheTimeout) {
  EXPECT_EQ(waiting_->wait(), 3);
  EXPECT_THAT(waiting_->errors(), HasSubstr("no coordinator answers at 127.0.0.1:"));
}

// LibTorch is mapped by trainers and by nobody else; an idle coordinator stays below 50 MB.
TEST_F(ByHand, RunningProcessesAreSmall) {
  const auto maps = [](pid_t pid) { return read_text("/proc/" + std::to_string(pid) + "/maps"); };
  EXPECT_THAT(maps(net_->coordinator().pid()),
              AllOf(HasSubstr("libsodium"), Not(HasSubstr("torch"))));
  for (const char* name : kWorkers)
    EXPECT_THAT(maps(net_->worker(name).pid()),
                AllOf(HasSubstr("libsodium"), Not(HasSubstr("libtorch"))));
  const int resident_kb = net_->coordinator().memory_kb("VmRSS");
  RecordProperty("coordinator_rss_kb", resident_kb);
  std::printf("idle coordinator with three workers: %d KB resident\n", resident_kb);
  EXPECT_GT(resident_kb, 1000);
  EXPECT_LT(resident_kb, 50'000);
}

}  // namespace
}  // namespace fedmesh::e2e
