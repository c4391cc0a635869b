// A validator's share of a round.
#include "models/data/dataset_blob.h"
#include "tests/worker/worker_fixture.h"

namespace fedmesh::worker {
namespace {

using protocol::RoundPhase;
using ::testing::IsEmpty;
using ::testing::SizeIs;

class ScoringTest : public WorkerTest {
 protected:
  void open_scoring() {
    auto spec = clinics_job();
    evaluation_ = models::encode_dataset(models::clinics_validation(2, 50));
    spec.evaluation = {true, crypto::blob_root(evaluation_), evaluation_.size()};
    open_job(spec);
    job_.phase = protocol::JobPhase::running;
    job_.declined = {worker_->id()};
    put_job();
    round_.job = job_.id;
    round_.config_hash = job_.config_hash;
    round_.aggregate.emplace();
    round_.aggregate->model_root = crypto::blob_root(base_);
    round_.validators.resize(1);
    round_.validators[0].validator = worker_->id();
    put_round(RoundPhase::scoring);
  }
  void serve_blobs() {
    for (const auto& fetch : std::exchange(fetches_, {})) {
      const Bytes& blob = fetch.root == crypto::blob_root(base_) ? base_ : evaluation_;
      EXPECT_GE(fetch.bytes_max, blob.size());
      step(BlobArrived{fetch.root, blob});
    }
  }
  Bytes evaluation_;
};

TEST_F(ScoringTest, CommitsToItsScoreAndOpensIt) {
  link();
  open_scoring();
  tasks_.clear();  // the look at the data that a declined job ends
  serve_blobs();
  ASSERT_THAT(tasks_, SizeIs(1)) << said();
  trainer::EvaluateResult result;
  result.count = 50;
  result.correct = 40;
  result.loss_micro = 500'000;
  answer(trainer::TaskKind::evaluate, result);
  const auto record = take_record<protocol::ScoreCommit>(ledger::RecordKind::score_commit);
  ASSERT_TRUE(record.has_value()) << said();
  round_.validators[0].commitment = record->commitment;
  put_round(RoundPhase::scoring);
  EXPECT_THAT(take_records(), IsEmpty());
  EXPECT_TRUE(kept_.contains(crypto::blob_root(evaluation_)));
  start();  // the salt is on disk
  link();
  ledger_.put(protocol::spec_key(job_.id), spec_);
  put_job();
  put_round(RoundPhase::unveiling);
  const auto reveal = take_record<protocol::ScoreReveal>(ledger::RecordKind::score_reveal);
  ASSERT_TRUE(reveal.has_value()) << said();
  EXPECT_EQ(reveal->score, (protocol::Score{500'000, 40, 50}));
  EXPECT_EQ(protocol::score_commitment(ledger_.chain(), job_.id, round_.slot, worker_->id(),
                                       reveal->score, reveal->salt),
            record->commitment);
}

TEST_F(ScoringTest, TheStatusSaysHowFarTheScoreIs) {
  const auto status = [&] { return worker_->status(now_); };
  link();
  open_scoring();
  EXPECT_EQ(status(), "clinics round 0: fetching the model to score (60 s left)");
  tasks_.clear();
  serve_blobs();
  EXPECT_EQ(status(), "clinics round 0: scoring (60 s left)");
  trainer::EvaluateResult result;
  result.count = 50;
  answer(trainer::TaskKind::evaluate, result);
  EXPECT_EQ(status(), "clinics round 0: score committed, waiting for the other validators");
  const auto record = take_record<protocol::ScoreCommit>(ledger::RecordKind::score_commit);
  ASSERT_TRUE(record.has_value()) << said();
  round_.validators[0].commitment = record->commitment;
  put_round(RoundPhase::unveiling);
  EXPECT_EQ(status(), "clinics round 0: score committed, waiting for the other validators");
  round_.validators[0].score = protocol::Score{0, 0, 50};
  put_round(RoundPhase::unveiling);
  EXPECT_EQ(status(), "clinics round 0: scored, waiting for the round's end");
}

}  // namespace
}  // namespace fedmesh::worker
