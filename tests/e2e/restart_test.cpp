// Processes that die and come back.
#include <gmock/gmock.h>
#include <signal.h>
#include <unistd.h>

#include "tests/e2e/federation.h"

namespace fedmesh::e2e {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

TEST(Restart, AWorkerKilledInTrainingComesBackAndTheJobFinishes) {
  Federation net;
  ASSERT_NO_FATAL_FAILURE(net.start({"steady", "killed"}));
  JobText job;
  job.training += "local_epochs = 100\nbatch_size = 1\n";
  job.federation += "commit_deadline = \"5m\"\n";
  ASSERT_FALSE(net.submit(job).empty());
  Process& killed = net.worker("killed");
  ASSERT_TRUE(killed.says("small round 1: training"));
  killed.signal(SIGKILL);
  ASSERT_EQ(killed.wait(), 128 + SIGKILL);
  ASSERT_THAT(killed.output(), Not(HasSubstr("trained, committing")));
  // Its trainer goes with it; the other worker's stays.
  EXPECT_TRUE(eventually([] { return descendants(::getpid(), "fedmesh-trainer").size() <= 1; }));

  net.start_worker("killed");
  const Ran watched = net.online({"job", "watch", "small"});
  EXPECT_EQ(watched.code, 0) << watched.out << watched.err;
  EXPECT_THAT(watched.out, HasSubstr("round 1 of 2: 2 of 2 workers"));
  EXPECT_THAT(watched.out, HasSubstr("round 2 of 2: 2 of 2 workers"));
  EXPECT_TRUE(net.worker("killed").says("small: finished"));
}

TEST(Restart, AWorkerStartedBeforeTheCoordinatorJoinsByItself) {
  Federation net;
  ASSERT_NO_FATAL_FAILURE(net.init({"early", "late"}));
  const ReservedPort port;
  Process& early = net.start_worker("early", {}, port.endpoint());
  ASSERT_TRUE(early.says("waiting for the coordinator at " + port.endpoint()));
  EXPECT_THAT(early.output(), Not(HasSubstr("connected to coordinator")));
  ASSERT_NO_FATAL_FAILURE(net.start_coordinator(port.endpoint()));
  ASSERT_TRUE(early.says("connected to coordinator"));
  net.start_worker("late");
  ASSERT_FALSE(net.submit({}).empty());
  const Ran watched = net.online({"job", "watch", "small"});
  EXPECT_EQ(watched.code, 0) << watched.out << watched.err;
  EXPECT_THAT(watched.out, HasSubstr("round 2 of 2: 2 of 2 workers"));
  EXPECT_TRUE(early.says("small: finished"));
}

std::size_t count(const std::string& text, const std::string& part) {
  std::size_t found = 0;
  for (auto at = text.find(part); at != std::string::npos; at = text.find(part, at + 1)) ++found;
  return found;
}

std::string owner_key(Federation& net) {
  const Ran shown = net.fedmesh({"key", "show", net.path(".fedmesh/coordinator/owner.key")});
  const auto at = shown.out.find("public key");
  return at == std::string::npos ? ""
                                 : shown.out.substr(shown.out.find_first_not_of(' ', at + 10), 64);
}

// Makes one block.
void admit_owner(Federation& net, const std::string& name) {
  const Ran ran = net.online({"node", "admit", owner_key(net), "--roles", "submitter", "--name",
                              name, "--key", net.path(".fedmesh/coordinator/operator.key")});
  ASSERT_EQ(ran.code, 0) << ran.out << ran.err;
}

TEST(Restart, ACoordinatorKilledGoesOnWhereItWasAndItsWorkersComeBack) {
  Federation net;
  ASSERT_NO_FATAL_FAILURE(net.start({"w"}));
  const std::string endpoint = net.endpoint();
  for (const char* name : {"one", "two", "three"}) ASSERT_NO_FATAL_FAILURE(admit_owner(net, name));
  ASSERT_EQ(net.online({"ledger", "export", net.path("before")}).code, 0);

  Process second({program("fedmesh-coordinator"), "--home", net.path(".fedmesh/coordinator"),
                  "--listen", "127.0.0.1:0"},
                 net.path("logs/second"), {});
  EXPECT_EQ(second.wait(), 1);
  EXPECT_THAT(second.errors(), HasSubstr(net.path(".fedmesh/coordinator")));

  net.coordinator().signal(SIGKILL);
  ASSERT_EQ(net.coordinator().wait(), 128 + SIGKILL);
  Process& worker = net.worker("w");
  EXPECT_TRUE(worker.says("waiting for the coordinator at " + endpoint));
  ASSERT_NO_FATAL_FAILURE(net.start_coordinator(endpoint));
  EXPECT_TRUE(net.coordinator().says("resuming at height 3"));
  ASSERT_EQ(net.online({"ledger", "export", net.path("after")}).code, 0);
  EXPECT_EQ(read_text(net.path("before")), read_text(net.path("after")));
  EXPECT_TRUE(eventually([&] { return count(worker.output(), "connected to coordinator") >= 2; }));

  ASSERT_NO_FATAL_FAILURE(admit_owner(net, "four"));
  const Ran head = net.online({"ledger", "head"});
  EXPECT_THAT(head.out, HasSubstr("block 4 "));
  ASSERT_EQ(net.online({"ledger", "export", net.path("later")}).code, 0);
  EXPECT_EQ(net.fedmesh({"ledger", "verify", net.path("later")}).code, 0);
}

TEST(Restart, ARestoredCoordinatorAsksBeforeItGoesOn) {
  Federation net;
  ASSERT_NO_FATAL_FAILURE(net.start({}));
  ASSERT_NO_FATAL_FAILURE(admit_owner(net, "one"));
  const std::string home = net.path(".fedmesh/coordinator");
  const Ran backup = net.fedmesh({"ledger", "backup", net.path("copy"), "--with-key"});
  ASSERT_EQ(backup.code, 0) << backup.err;
  EXPECT_THAT(backup.out, HasSubstr("height 1"));
  net.coordinator().signal(SIGTERM);
  EXPECT_EQ(net.coordinator().wait(), 0);

  const std::string other = net.path("restored");
  const Ran restored = net.fedmesh({"ledger", "restore", net.path("copy"), "--home", other});
  ASSERT_EQ(restored.code, 0) << restored.err;
  EXPECT_EQ(net.fedmesh({"ledger", "restore", net.path("copy"), "--home", home}).code, 1);
  const std::vector<std::string> start = {program("fedmesh-coordinator"), "--home", other,
                                          "--listen", "127.0.0.1:0"};
  Process refused(start, net.path("logs/refused"), {});
  EXPECT_EQ(refused.wait(), 1);
  EXPECT_THAT(refused.errors(), HasSubstr("--confirm-restored 1"));
  std::vector<std::string> confirmed = start;
  confirmed.insert(confirmed.end(), {"--confirm-restored", "1"});
  Process goes_on(confirmed, net.path("logs/goes_on"), {});
  EXPECT_TRUE(goes_on.says("resuming at height 1"));
}

TEST(Restart, WorkersOutliveTheirCoordinatorAndStopWhenAsked) {
  Federation net;
  ASSERT_NO_FATAL_FAILURE(net.start({"w"}));
  const std::string endpoint = net.endpoint();
  net.coordinator().signal(SIGTERM);
  EXPECT_EQ(net.coordinator().wait(), 0);
  Process& worker = net.worker("w");
  EXPECT_TRUE(worker.says("disconnected from coordinator"));
  EXPECT_TRUE(worker.says("waiting for the coordinator at " + endpoint));
  EXPECT_TRUE(worker.running());
  worker.signal(SIGTERM);
  EXPECT_EQ(worker.wait(std::chrono::seconds(15)), 0);
  EXPECT_THAT(worker.output(), HasSubstr("stopped"));
}

}  // namespace
}  // namespace fedmesh::e2e
