// Trainers that answer with what is no number, behind real workers.
#include <gmock/gmock.h>

#include "tests/e2e/federation.h"

namespace fedmesh::e2e {
namespace {

using ::testing::HasSubstr;

TEST(RogueTrainer, AnAnswerThatIsNoNumberCostsItsWorkerTheRoundAndNobodyElseAnything) {
  Federation net;
  ASSERT_NO_FATAL_FAILURE(net.init({"one", "two", "nan", "infinity"}));
  ASSERT_NO_FATAL_FAILURE(net.start_coordinator());
  for (const std::string name : {"one", "two"}) net.start_worker(name);
  for (const std::string name : {"nan", "infinity"}) {
    const std::string trainer = net.path("trainer-" + name);
    std::filesystem::create_symlink(program("fedmesh_rogue_trainer"), trainer);
    net.start_worker(name, {"--trainer", trainer});
  }
  for (const std::string name : {"one", "two", "nan", "infinity"})
    ASSERT_TRUE(net.worker(name).says("connected to coordinator")) << name;
  JobText job;
  job.federation =
      "rounds = 1\nmax_participants = 4\nmin_updates = 2\nenrol_deadline = \"1h\"\n"
      "commit_deadline = \"8s\"\nreveal_deadline = \"1h\"\ncommittee_deadline = \"1h\"\n";
  ASSERT_FALSE(net.submit(job).empty());
  const Ran watched = net.online({"job", "watch", "small"});
  EXPECT_EQ(watched.code, 0) << watched.out << watched.err;
  EXPECT_THAT(watched.out, HasSubstr("round 1 of 1: 2 of 4 workers"));
  for (const std::string name : {"nan", "infinity"}) {
    EXPECT_TRUE(net.worker(name).says("sitting this round out: value 0 is not finite")) << name;
    EXPECT_TRUE(net.worker(name).running()) << name;
  }
  const Ran fetched = net.online({"job", "fetch", "small", "--out", net.path("out")});
  EXPECT_THAT(fetched.out, HasSubstr("the audit holds")) << fetched.err;
  EXPECT_TRUE(net.coordinator().running());
}

}  // namespace
}  // namespace fedmesh::e2e
