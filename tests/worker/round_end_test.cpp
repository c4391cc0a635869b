// What is left of a round when it is over: a receipt, and nothing of the update.
#include "tests/worker/worker_fixture.h"

namespace fedmesh::worker {
namespace {

using protocol::RoundPhase;
using ::testing::Contains;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;
using ::testing::SizeIs;

class RoundEndTest : public WorkerTest, public testing::WithParamInterface<RoundPhase> {};

TEST_P(RoundEndTest, ErasesOpeningAndCiphertext) {
  link();
  open_job(clinics_job());
  open_round();
  EXPECT_THAT(kept_, Contains(job_.base_root));
  const auto reveal = deliver();
  EXPECT_TRUE(disk_.contains(opening_name()));
  EXPECT_THAT(kept_, Contains(reveal.ciphertext_root));
  put_round(GetParam());
  EXPECT_FALSE(disk_.contains(opening_name()));
  EXPECT_THAT(blobs_, IsEmpty());
  EXPECT_THAT(kept_, Not(Contains(reveal.ciphertext_root)));
  EXPECT_THAT(kept_, Not(Contains(job_.base_root)));
  pass(Outbox::kResend);
  EXPECT_THAT(take_records(), IsEmpty());
}

INSTANTIATE_TEST_SUITE_P(Ends, RoundEndTest,
                         testing::Values(RoundPhase::finished, RoundPhase::voided));

class JobEndTest : public WorkerTest, public testing::WithParamInterface<protocol::JobPhase> {};

TEST_P(JobEndTest, ErasesOpeningAndCiphertextOfTheOpenRound) {
  link();
  open_job(clinics_job());
  open_round();
  commit();
  EXPECT_TRUE(disk_.contains(opening_name()));
  job_.phase = GetParam();
  put_job();
  block();
  EXPECT_FALSE(disk_.contains(opening_name()));
  EXPECT_THAT(kept_, IsEmpty());
  EXPECT_THAT(blobs_, IsEmpty());
  EXPECT_EQ(worker_->live_jobs(), 0u);
}

INSTANTIATE_TEST_SUITE_P(Ends, JobEndTest,
                         testing::Values(protocol::JobPhase::finished, protocol::JobPhase::stopped,
                                         protocol::JobPhase::failed));

TEST_F(WorkerTest, ARoundThatEndedWhileTheLinkWasDownIsAskedFor) {
  link();
  open_job(clinics_job());
  open_round();
  const auto reveal = deliver();
  unlink();
  pass(Duration(5'000));
  link();
  take_sent<protocol::StateQuery>();
  job_.next.round = {1};
  job_.phase = protocol::JobPhase::drawing;
  put_job();
  block();
  const auto queries = take_sent<protocol::StateQuery>();
  ASSERT_THAT(queries, SizeIs(1));
  EXPECT_EQ(queries[0].prefix, protocol::round_key(job_.id, round_.slot));
  round_.phase = RoundPhase::finished;
  ledger_.put(queries[0].prefix, round_);
  receive(protocol::StateAnswer{queries[0].id, ledger_.block(now_), false});
  EXPECT_FALSE(disk_.contains(opening_name()));
  EXPECT_FALSE(blobs_.contains(reveal.ciphertext_root));
  EXPECT_TRUE(disk_.contains(receipt_wanted_item(job_.id, round_.slot.round)));
}

class ReceiptTest : public WorkerTest {
 protected:
  void finish_round() {
    link();
    open_job(clinics_job());
    open_round();
    deliver();
    commitment_ = *round_.cohort[0].commitment;
    put_round(RoundPhase::finished);
  }
  void answer(const protocol::StateQuery& query) {
    protocol::Contribution contribution;
    contribution.job = job_.id;
    contribution.slot = round_.slot;
    contribution.worker = worker_->id();
    contribution.commitment = commitment_;
    ledger_.put(query.prefix, contribution);
    receive(protocol::StateAnswer{query.id, ledger_.block(now_), false});
  }
  // Of the receipt alone; on a new link the worker asks for its jobs as well.
  std::vector<protocol::StateQuery> take_receipt_queries() {
    auto queries = take_sent<protocol::StateQuery>();
    const auto key = protocol::contribution_key(job_.id, round_.slot.round, worker_->id());
    std::erase_if(queries, [&](const auto& query) { return query.prefix != key; });
    return queries;
  }
  void expect_receipt() {
    const auto proof =
        ledger::decode_state_entry_proof(disk_.at("receipt-" + job_.id.hex() + "-0"));
    ASSERT_TRUE(proof.ok());
    EXPECT_TRUE(ledger::verify_proof(ledger_.genesis(), *proof).ok());
    EXPECT_FALSE(disk_.contains(wanted())) << "it is here";
    pass(Worker::kReceiptRetry);
    EXPECT_THAT(take_receipt_queries(), IsEmpty());
  }
  std::string wanted() const { return receipt_wanted_item(job_.id, round_.slot.round); }
  Digest commitment_;
};

TEST_F(ReceiptTest, IsKeptWithItsProof) {
  finish_round();
  EXPECT_TRUE(disk_.contains(wanted()));
  const auto queries = take_receipt_queries();
  ASSERT_THAT(queries, SizeIs(1)) << said();
  answer(queries[0]);
  expect_receipt();
}

TEST_F(ReceiptTest, IsAskedForUntilItComes) {
  finish_round();
  EXPECT_THAT(take_receipt_queries(), SizeIs(1));
  pass(Worker::kReceiptRetry);
  EXPECT_THAT(take_receipt_queries(), SizeIs(1));
  unlink();
  link();
  EXPECT_THAT(take_receipt_queries(), SizeIs(1));
}

TEST_F(ReceiptTest, AWantedOneOutlivesTheProcess) {
  finish_round();
  take_receipt_queries();
  start();
  EXPECT_TRUE(disk_.contains(wanted()));
  link();
  const auto queries = take_receipt_queries();
  ASSERT_THAT(queries, SizeIs(1));
  answer(queries[0]);
  expect_receipt();
  start();
  link();
  EXPECT_THAT(take_receipt_queries(), IsEmpty());
}

TEST_F(WorkerTest, OneBlockMayEndTheRoundAndOpenTheNextOrEndTheJob) {
  link();
  open_job(clinics_job());
  open_round();
  deliver();
  // The order in which the coordinator publishes: the job, its new round, the old one.
  job_.next.round = {1};
  job_.rounds_done = 1;
  put_job();
  auto old = round_;
  round_.slot = job_.next;
  round_.phase = RoundPhase::committing;
  round_.cohort[0].commitment.reset();
  round_.cohort[0].reveal.reset();
  ledger_.put(protocol::round_key(job_.id, round_.slot), round_);
  old.phase = RoundPhase::finished;
  ledger_.put(protocol::round_key(job_.id, old.slot), old);
  block();
  EXPECT_THAT(take_sent<protocol::StateQuery>(), SizeIs(1)) << "the receipt of round 0";
  EXPECT_FALSE(disk_.contains(opening_item(job_.id, old.slot)));
  EXPECT_THAT(tasks_, SizeIs(1)) << "round 1 begins, from a model that is here already";
  // The same for the end of the job.
  job_.phase = protocol::JobPhase::finished;
  put_job();
  round_.phase = RoundPhase::voided;
  ledger_.put(protocol::round_key(job_.id, round_.slot), round_);
  block();
  EXPECT_EQ(worker_->live_jobs(), 0u);
  EXPECT_THAT(said(), HasSubstr("void"));
  EXPECT_THAT(said(), HasSubstr("clinics: finished"));
}

}  // namespace
}  // namespace fedmesh::worker
