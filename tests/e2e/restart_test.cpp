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

  // Its ledger was in memory: to go on with an empty one would be another history.
  Process again({program("fedmesh-coordinator"), "--home", net.path(".fedmesh/coordinator"),
                 "--listen", endpoint},
                net.path("logs/again"), {});
  EXPECT_EQ(again.wait(), 1);
  EXPECT_THAT(again.errors(), HasSubstr("lived in memory"));
  EXPECT_TRUE(worker.running());
  worker.signal(SIGTERM);
  EXPECT_EQ(worker.wait(std::chrono::seconds(15)), 0);
  EXPECT_THAT(worker.output(), HasSubstr("stopped"));
}

}  // namespace
}  // namespace fedmesh::e2e
