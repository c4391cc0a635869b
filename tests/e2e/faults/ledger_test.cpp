// A coordinator killed with several jobs live, on a full disk, and on an old copy of its ledger.
#include <gmock/gmock.h>
#include <signal.h>
#include <sys/mount.h>

#include <fstream>
#include <nlohmann/json.hpp>

#include "tests/e2e/federation.h"

namespace fedmesh::e2e {
namespace {

namespace fs = std::filesystem;
using ::testing::AllOf;
using ::testing::HasSubstr;

std::string public_key(Federation& net, const std::string& file) {
  const Ran shown = net.fedmesh({"key", "show", net.path(file)});
  const auto at = shown.out.find("public key");
  return at == std::string::npos ? ""
                                 : shown.out.substr(shown.out.find_first_not_of(' ', at + 10), 64);
}

// Makes one block, if the coordinator can.
Ran admit_owner(Federation& net, const std::string& name) {
  return net.online({"node", "admit", public_key(net, ".fedmesh/coordinator/owner.key"), "--roles",
                     "submitter", "--name", name});
}

TEST(Ledger, ACoordinatorKilledWithThreeJobsLiveFinishesThemAll) {
  Federation net;
  ASSERT_NO_FATAL_FAILURE(net.start({"one", "two"}));
  const std::vector<std::string> names = {"first", "second", "third"};
  for (const auto& name : names) {
    JobText job{.name = name};
    job.training += "local_epochs = 40\nbatch_size = 1\n";
    job.federation =
        "rounds = 2\nmax_participants = 2\nmin_updates = 2\nenrol_deadline = \"1h\"\n"
        "commit_deadline = \"1h\"\nreveal_deadline = \"1h\"\ncommittee_deadline = \"1h\"\n";
    ASSERT_FALSE(net.submit(job).empty());
  }
  ASSERT_TRUE(net.worker("one").says("first round 1: training"));
  const Ran listed = net.online({"job", "list", "--format", "json"});
  int live = 0;
  for (const auto& job : nlohmann::json::parse(listed.out))
    if (job.at("phase") != "finished") ++live;
  ASSERT_EQ(live, 3) << listed.out;
  net.coordinator().signal(SIGKILL);
  ASSERT_EQ(net.coordinator().wait(), 128 + SIGKILL);
  ASSERT_NO_FATAL_FAILURE(net.restart_coordinator());
  for (const auto& name : names) {
    const Ran watched = net.online({"job", "watch", name});
    EXPECT_EQ(watched.code, 0) << watched.out << watched.err;
    for (const char* round : {"1", "2"})
      EXPECT_THAT(watched.out, HasSubstr(std::string("round ") + round + " of 2: 2 of 2 workers"));
    const Ran fetched = net.online({"job", "fetch", name, "--out", net.path(name)});
    EXPECT_THAT(fetched.out, HasSubstr("the audit holds")) << fetched.err;
  }
}

// A file system of a few megabytes, mounted where the coordinator's home is.
class SmallDisk {
 public:
  explicit SmallDisk(std::string at) : at_(std::move(at)) {
    mounted_ = ::mount("none", at_.c_str(), "tmpfs", MS_NOSUID | MS_NODEV, "size=24m") == 0;
  }
  ~SmallDisk() {
    if (mounted_) ::umount2(at_.c_str(), MNT_DETACH);
  }
  SmallDisk(const SmallDisk&) = delete;
  SmallDisk& operator=(const SmallDisk&) = delete;
  bool mounted() const { return mounted_; }
  std::string filler() const { return at_ + "/filler"; }
  void fill() const {
    std::ofstream out(filler(), std::ios::binary);
    const std::string block(4096, 'x');
    while (out << block << std::flush) {
    }
  }

 private:
  std::string at_;
  bool mounted_ = false;
};

// Its record takes some forty kilobytes.
JobText large_job(int number) {
  JobText job{.name = "large-" + std::to_string(number)};
  job.federation = "rounds = 1\nmin_updates = 9\nenrol_deadline = \"1h\"\n";
  for (int i = 0; i < 900; ++i)
    job.rest += "[[data.columns]]\nname = \"a-rather-long-column-name-" + std::to_string(i) +
                "\"\nmin = 0\nmax = 1\n";
  return job;
}

TEST(Ledger, ACoordinatorOnAFullDiskStopsWithReasonAndGoesOnWhenThereIsRoom) {
  Federation net;
  const std::string home = net.path(".fedmesh/coordinator");
  fs::create_directories(home);
  const SmallDisk disk(home);
  if (!disk.mounted()) GTEST_SKIP() << "mounting a small tmpfs is not permitted here: not tested";
  ASSERT_NO_FATAL_FAILURE(net.start({"w"}));
  ASSERT_EQ(admit_owner(net, "one").code, 0);
  disk.fill();
  // What was allocated before lets a few more blocks through, so these are large.
  int confirmed = 1;
  std::string last;
  for (int i = 0; i < 200 && net.coordinator().running(); ++i) {
    const Ran ran = net.online({"job", "submit", net.write_job(large_job(i))});
    if (ran.code == 0) ++confirmed;
    last = ran.err;
    const Ran stopped = net.online({"job", "stop", "large-" + std::to_string(i)});
    if (stopped.code == 0) ++confirmed;
  }
  ASSERT_EQ(net.coordinator().wait(), 1) << confirmed << " blocks, then " << last;
  EXPECT_THAT(net.coordinator().errors(), HasSubstr("full")) << net.coordinator().errors();
  EXPECT_TRUE(net.worker("w").running());

  fs::remove(disk.filler());
  ASSERT_NO_FATAL_FAILURE(net.restart_coordinator());
  ASSERT_EQ(admit_owner(net, "after").code, 0);
  const Ran head = net.online({"ledger", "head", "--format", "json"});
  const auto height = nlohmann::json::parse(head.out).at("height").get<int>();
  EXPECT_GE(height, confirmed + 1) << "a block that was confirmed is lost";
  ASSERT_EQ(net.online({"ledger", "export", net.path("export")}).code, 0);
  EXPECT_EQ(net.fedmesh({"ledger", "verify", net.path("export")}).code, 0);
}

TEST(Ledger, AStaleBackupStopsAsSoonAsAWorkerThatKnowsMoreLinks) {
  Federation net;
  ASSERT_NO_FATAL_FAILURE(net.start({"w"}));
  ASSERT_EQ(admit_owner(net, "one").code, 0);
  const Ran backup = net.fedmesh({"ledger", "backup", net.path("copy"), "--with-key"});
  ASSERT_EQ(backup.code, 0) << backup.err;
  JobText job;
  job.federation = "rounds = 1\nmin_updates = 1\nenrol_deadline = \"60s\"\n";
  ASSERT_FALSE(net.submit(job).empty());
  ASSERT_EQ(net.online({"job", "watch", "small"}).code, 0);
  ASSERT_TRUE(net.worker("w").says("small: finished"));
  net.coordinator().signal(SIGKILL);
  ASSERT_EQ(net.coordinator().wait(), 128 + SIGKILL);

  const std::string other = net.path("restored");
  const Ran restored = net.fedmesh({"ledger", "restore", net.path("copy"), "--home", other});
  ASSERT_EQ(restored.code, 0) << restored.err;
  Process stale({program("fedmesh-coordinator"), "--home", other, "--listen", net.endpoint(),
                 "--bulk-listen", net.bulk_endpoint(), "--confirm-restored", "1"},
                net.path("logs/stale"), {});
  EXPECT_EQ(stale.wait(), 1) << stale.output();
  EXPECT_THAT(stale.errors(),
              AllOf(HasSubstr("a node has a certificate of block"),
                    HasSubstr("this ledger ends at block 1"), HasSubstr("Find the newest copy")));
  EXPECT_TRUE(net.worker("w").running());

  // The newest copy goes on, and the worker with it.
  ASSERT_NO_FATAL_FAILURE(net.restart_coordinator());
  EXPECT_EQ(admit_owner(net, "two").code, 0);
}

TEST(Ledger, TwoCoordinatorsOnOneHomeAreRefused) {
  Federation net;
  ASSERT_NO_FATAL_FAILURE(net.start({}));
  const std::string home = net.path(".fedmesh/coordinator");
  Process second({program("fedmesh-coordinator"), "--home", home, "--listen", "127.0.0.1:0"},
                 net.path("logs/second"), {});
  EXPECT_EQ(second.wait(), 1);
  EXPECT_THAT(second.errors(), AllOf(HasSubstr("another process uses " + home),
                                     HasSubstr("is its coordinator running already?")));
  EXPECT_EQ(admit_owner(net, "one").code, 0) << "the first one goes on";
}

}  // namespace
}  // namespace fedmesh::e2e
