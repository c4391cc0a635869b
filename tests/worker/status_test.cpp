// The one line by which whoever watches a worker knows what it does and what it waits for.
#include "tests/worker/worker_fixture.h"

namespace fedmesh::worker {
namespace {

using protocol::RoundPhase;

const std::string kRound = "clinics round 0: ";

class StatusTest : public WorkerTest {
 protected:
  std::string status() const { return worker_->status(now_); }
};

TEST_F(StatusTest, FollowsARoundFromTheFirstLinkToTheReveal) {
  EXPECT_EQ(status(), "waiting for the coordinator");
  link();
  EXPECT_EQ(status(), "connected, no job is open");
  open_job(clinics_job());
  EXPECT_EQ(status(), "clinics: reading the data");
  open_round();
  EXPECT_EQ(status(), kRound + "training (60 s left)");
  answer_train(1.0f);
  EXPECT_EQ(status(), kRound + "committing (60 s left)");
  const auto record = take_commit();
  ASSERT_TRUE(record.has_value()) << said();
  round_.cohort[0].commitment = record->commitment;
  put_round(RoundPhase::committing);
  EXPECT_EQ(status(), kRound + "committed, waiting for the other workers");
  put_round(RoundPhase::revealing);
  EXPECT_EQ(status(), kRound + "revealing (60 s left)");
  round_.cohort[0].reveal = Digest{};
  put_round(RoundPhase::checking);
  EXPECT_EQ(status(), kRound + "update sealed and revealed, waiting for the aggregate");
  put_round(RoundPhase::finished);
  EXPECT_EQ(status(), "clinics: enrolled, running");
}

TEST_F(StatusTest, TellsALostLinkBesideTheWorkThatGoesOn) {
  link();
  open_job(clinics_job());
  open_round();
  unlink();
  EXPECT_EQ(status(), kRound + "training (60 s left); waiting for the coordinator");
  answer_train(1.0f);
  EXPECT_EQ(status(), kRound + "committing (60 s left); waiting for the coordinator");
}

TEST_F(StatusTest, TellsThatTheWorkerSitsARoundOut) {
  link();
  open_job(clinics_job());
  open_round();
  for (int tries = 0; tries < 10 && !tasks_.empty(); ++tries) {
    const trainer::Request request = tasks_.front();
    tasks_.pop_front();
    step(TaskDone{trainer::failure(request.id, unavailable("no memory"))});
  }
  EXPECT_EQ(status(), kRound + "sitting it out");
}

TEST_F(StatusTest, TellsAJobThatIsDeclined) {
  policy_.submitters = {test_key(60).node_id()};
  start();
  link();
  open_job(clinics_job());
  EXPECT_EQ(status(), "clinics: not taking part");
}

}  // namespace
}  // namespace fedmesh::worker
