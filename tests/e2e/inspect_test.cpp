// What people look at when something is odd: explain, doctor, receipts. One federation runs one
// job; the tests look at what it left.
#include <gmock/gmock.h>
#include <sys/stat.h>

#include <nlohmann/json.hpp>

#include "tests/e2e/federation.h"
#include "tests/e2e/tcp_proxy.h"

namespace fedmesh::e2e {
namespace {

using nlohmann::json;
using ::testing::AllOf;
using ::testing::HasSubstr;

class Inspect : public ::testing::Test {
 protected:
  static void SetUpTestSuite() {
    net_ = std::make_unique<Federation>();
    ASSERT_NO_FATAL_FAILURE(net_->start({"anna", "bert"}));
    before_ = net_->online({"node", "list", "--format", "json"});
    JobText job;
    job.federation =
        "rounds = 2\nmax_participants = 2\nmin_updates = 2\nenrol_deadline = \"60s\"\n";
    job_ = net_->submit(job);
    const Ran watched = net_->online({"job", "watch", "small"});
    ASSERT_EQ(watched.code, 0) << watched.out << watched.err;
    const std::string receipt = "items/receipt-" + job_ + "-2";
    for (const char* name : {"anna", "bert"})
      ASSERT_TRUE(
          eventually([&] { return std::filesystem::exists(net_->home() / name / receipt); }));
    const Ran exported = net_->online({"ledger", "export", net_->path("ledger.export")});
    ASSERT_EQ(exported.code, 0) << exported.err;
  }
  static void TearDownTestSuite() { net_.reset(); }

  static std::map<std::string, json> by_check(const Ran& doctor) {
    const json told = parse(doctor);
    std::map<std::string, json> out;
    for (const auto& finding : told["findings"]) out[finding["check"]] = finding;
    return out;
  }
  static std::string genesis() { return net_->path(".fedmesh/coordinator/genesis.fm"); }
  static json parse(const Ran& ran) {
    auto out = json::parse(ran.out, nullptr, false);
    EXPECT_FALSE(out.is_discarded()) << ran.out << ran.err;
    return out;
  }

  static std::unique_ptr<Federation> net_;
  static std::string job_;
  static Ran before_;
};
std::unique_ptr<Federation> Inspect::net_;
std::string Inspect::job_;
Ran Inspect::before_;

TEST_F(Inspect, ExplainTellsARoundFromTheLogsAlone) {
  const Ran text =
      net_->fedmesh({"explain", "small", "1", "--log", net_->path("anna/events.jsonl")});
  ASSERT_EQ(text.code, 0) << text.err;
  EXPECT_THAT(text.out,
              AllOf(HasSubstr("round 1, attempt 0 (training): finished"),
                    HasSubstr("train and commit"), HasSubstr("all answered"), HasSubstr("anna"),
                    HasSubstr("bert"), HasSubstr("not proven"), HasSubstr("round.committed")));
  const json told = parse(net_->fedmesh({"explain", job_.substr(0, 8), "2", "--format", "json"}));
  EXPECT_EQ(told["job"], job_);
  EXPECT_EQ(told["proven"], false);
  EXPECT_EQ(told["updates_counted"], 2);
  EXPECT_EQ(told["phases"][1]["nodes"].size(), 2u);
  EXPECT_EQ(told["skipped_lines"], 0);
}

TEST_F(Inspect, ExplainSaysTheSameFromLedgerCoordinatorAndLog) {
  const std::string none = net_->path("nowhere");
  json logged = parse(net_->fedmesh({"explain", "small", "1", "--format", "json"}));
  const json exported = parse(net_->fedmesh({"explain", "small", "1", "--home", none, "--ledger",
                                             net_->path("ledger.export"), "--format", "json"}));
  const json asked =
      parse(net_->online({"explain", "small", "1", "--home", none, "--format", "json"}));
  EXPECT_EQ(exported, asked);
  EXPECT_EQ(exported["proven"], true);
  EXPECT_EQ(exported["phases"], [&] {
    for (std::size_t i = 0; i < logged["phases"].size(); ++i)
      for (std::size_t j = 0; j < logged["phases"][i]["nodes"].size(); ++j)
        EXPECT_EQ(logged["phases"][i]["nodes"][j]["at_ms"],
                  exported["phases"][i]["nodes"][j]["at_ms"]);
    return logged["phases"];
  }());
}

TEST_F(Inspect, ExplainNamesWhatIsNotThere) {
  EXPECT_EQ(net_->fedmesh({"explain", "small"}).code, 2);
  const Ran round = net_->fedmesh({"explain", "small", "9"});
  EXPECT_EQ(round.code, 1);
  EXPECT_THAT(round.err, HasSubstr("it has rounds 1 to 2"));
  const Ran job = net_->fedmesh({"explain", "unknown", "1"});
  EXPECT_EQ(job.code, 1);
  EXPECT_THAT(job.err, HasSubstr("no job 'unknown'"));
  const Ran log = net_->fedmesh({"explain", "small", "1", "--home", net_->path("nowhere")});
  EXPECT_EQ(log.code, 1);
  EXPECT_THAT(log.err, HasSubstr("--ledger EXPORT"));
}

TEST_F(Inspect, ReceiptsAreListedExportedAndVerifiedByAnybody) {
  const Ran listed = net_->fedmesh({"receipts", "--home", net_->path("anna")});
  ASSERT_EQ(listed.code, 0) << listed.out << listed.err;
  EXPECT_THAT(listed.out, AllOf(HasSubstr(job_.substr(0, 12)), HasSubstr("2 receipts, 2 verify")));
  const std::string file = net_->path("anna.json");
  const Ran exported = net_->fedmesh({"receipts", "--home", net_->path("anna"), "--export", file});
  EXPECT_EQ(exported.code, 0) << exported.err;
  const std::string single = net_->path("bert/items/receipt-" + job_ + "-1");
  const Ran verified = net_->fedmesh(
      {"receipts", "verify", file, single, "--genesis", genesis(), "--format", "json"});
  EXPECT_EQ(verified.code, 0) << verified.out << verified.err;
  const json told = parse(verified);
  ASSERT_EQ(told["receipts"].size(), 3u);
  for (const auto& receipt : told["receipts"]) {
    EXPECT_EQ(receipt["verified"], true);
    EXPECT_EQ(receipt["counted"], true);
    EXPECT_EQ(receipt["records"], 60);
  }
}

TEST_F(Inspect, ADamagedReceiptFailsAndIsNamed) {
  std::string bytes = read_text(net_->path("bert/items/receipt-" + job_ + "-1"));
  bytes[bytes.size() / 2] = static_cast<char>(bytes[bytes.size() / 2] ^ 1);
  const std::string file = net_->write("damaged", bytes);
  const Ran ran = net_->fedmesh({"receipts", "verify", file, "--genesis", genesis()});
  EXPECT_EQ(ran.code, 1);
  EXPECT_THAT(ran.out, HasSubstr("does not verify: " + file));
  const Ran without = net_->fedmesh({"receipts", "verify", file});
  EXPECT_EQ(without.code, 1);
  EXPECT_THAT(without.err, HasSubstr("--genesis"));
}

TEST_F(Inspect, TheDoctorFindsAHealthyNode) {
  const Ran ran = net_->fedmesh({"doctor", "--home", net_->path("anna"), "--coordinator",
                                 net_->endpoint(), "--listen", "127.0.0.1:0", "--format", "json"});
  EXPECT_EQ(ran.code, 0) << ran.out << ran.err;
  auto found = by_check(ran);
  for (const char* check :
       {"version", "libraries", "clock", "open files", "memory", "disk", "key node.key", "trainer",
        "BLAS", "GPU", "listen", "reach", "session", "bulk", "ledger", "clock and network"})
    EXPECT_NE(found[check]["health"], "fail") << check << found[check];
  EXPECT_THAT(found["trainer"]["detail"].get<std::string>(), HasSubstr("LibTorch"));
  EXPECT_THAT(found["session"]["detail"].get<std::string>(), HasSubstr("network test"));
  EXPECT_THAT(found["bulk"]["detail"].get<std::string>(), HasSubstr(net_->bulk_endpoint()));
  EXPECT_EQ(found["clock and network"]["health"], "ok");
}

// The control port alone was opened: whether nobody listens on the other one, or a firewall
// swallows what is sent there.
TEST_F(Inspect, TheDoctorFindsABulkPortThatCannotBeReached) {
  const TcpProxy control(net_->endpoint());
  const std::string host = control.endpoint().substr(0, control.endpoint().rfind(':') + 1);
  const std::string port = std::to_string(port_of(net_->bulk_endpoint()));
  std::optional<TcpProxy> bulk;
  for (const std::string listener : {"none", "silent"}) {
    if (listener == "silent") bulk.emplace(net_->bulk_endpoint()).cut(/*hang_up=*/false);
    const Ran ran = net_->fedmesh({"doctor", "--home", net_->path("anna"), "--coordinator",
                                   control.endpoint(), "--format", "json"});
    EXPECT_EQ(ran.code, 1) << listener << ran.out << ran.err;
    auto found = by_check(ran);
    for (const char* check : {"reach", "session", "ledger", "clock and network"})
      EXPECT_EQ(found[check]["health"], "ok") << listener << found[check];
    EXPECT_EQ(found["bulk"]["health"], "fail") << listener << found["bulk"];
    EXPECT_THAT(found["bulk"].value("detail", ""), HasSubstr(host + port)) << listener;
    EXPECT_THAT(found["bulk"].value("advice", ""), HasSubstr("--bulk-listen")) << listener;
    bulk.reset();
  }
}

TEST_F(Inspect, TheDoctorFindsWhatWillNotWork) {
  Federation other;
  ASSERT_NO_FATAL_FAILURE(other.init({"w"}));
  const std::string home = other.path(".fedmesh/coordinator");
  ASSERT_EQ(::chmod((home + "/node.key").c_str(), 0644), 0);
  const Ran ran = other.fedmesh(
      {"doctor", "--home", home, "--listen", net_->endpoint(), "--coordinator", net_->endpoint()});
  EXPECT_EQ(ran.code, 1);
  EXPECT_THAT(ran.out,
              AllOf(HasSubstr("others may read it"), HasSubstr("chmod 600"),
                    HasSubstr("already in use"), HasSubstr("the genesis here is of chain")));
}

TEST_F(Inspect, NodesAreListedBeforeTheFirstBlockAndTrafficIsNotInvented) {
  ASSERT_EQ(before_.code, 0) << before_.err;
  EXPECT_EQ(parse(before_).size(), 4u) << "coordinator, owner, anna, bert";
  const json shown = parse(net_->online({"job", "show", "small", "--format", "json"}));
  EXPECT_TRUE(shown["rounds"][0]["bytes_up"].is_null());
  EXPECT_THAT(net_->online({"job", "show", "small"}).out, ::testing::Not(HasSubstr("0 B / 0 B")));
}

}  // namespace
}  // namespace fedmesh::e2e
