// One answer per job, and which jobs stay when there are too many.
#include "tests/worker/worker_fixture.h"

namespace fedmesh::worker {
namespace {

using protocol::RoundPhase;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;

TEST_F(WorkerTest, EnrolsOnceWithARootOfItsData) {
  link();
  open_job(clinics_job());
  answer_describe();
  const auto enrol = take_record<protocol::Enrol>(ledger::RecordKind::enrol);
  ASSERT_TRUE(enrol.has_value()) << said();
  EXPECT_EQ(enrol->schema_hash, spec_.schema.hash());
  EXPECT_EQ(enrol->record_count, models::clinics_silo(1, 0, 40).rows());
  EXPECT_FALSE(enrol->data_root.is_zero());
  job_.enrolled = {worker_->id()};
  put_job();
  block();
  pass(Duration(60'000));
  EXPECT_THAT(take_records(), IsEmpty()) << "the state shows it";
  start();
  link();
  put_job();
  block();
  EXPECT_THAT(tasks_, IsEmpty()) << "answered before the restart";
}

TEST_F(WorkerTest, RepeatsARecordUntilTheLedgerAnswers) {
  link();
  open_job(clinics_job());
  answer_describe();
  const auto first = take_records();
  ASSERT_THAT(first, SizeIs(1));
  pass(Outbox::kResend);
  EXPECT_EQ(take_records(), first) << "the same bytes";
  receive(protocol::RecordResult{ledger::record_hash(first[0]), std::nullopt, "not admitted"});
  pass(Outbox::kResend);
  EXPECT_THAT(take_records(), IsEmpty());
  EXPECT_THAT(said(), HasSubstr("not admitted"));
}

TEST_F(WorkerTest, ATrainerThatCrashesIsAskedAgainBeforeDeclining) {
  link();
  open_job(clinics_job());
  for (int i = 0; i < 3; ++i) {
    ASSERT_THAT(tasks_, SizeIs(1));
    const auto id = tasks_.front().id;
    tasks_.pop_front();
    EXPECT_THAT(take_records(), IsEmpty());
    step(TaskDone{trainer::failure(id, unavailable("crashed"))});
  }
  EXPECT_TRUE(take_record<protocol::Decline>(ledger::RecordKind::decline).has_value());
}

TEST_F(WorkerTest, DeclinesDataThatDoesNotFitWithoutSayingWhy) {
  link();
  auto spec = clinics_job();
  spec.schema.columns[0].name = "no such column";
  open_job(spec);
  const auto records = take_records();
  ASSERT_THAT(records, SizeIs(1));
  EXPECT_EQ(records[0].kind, ledger::RecordKind::decline);
  EXPECT_EQ(records[0].payload, codec::encode(protocol::Decline{true}));
  EXPECT_THAT(said(), HasSubstr("does not fit"));
}

TEST_F(WorkerTest, BudgetCountsOverJobsAndRestarts) {
  policy_.max_epsilon_nano = 1'500'000'000;
  start();
  link();
  open_job(private_clinics_job());
  answer_describe();
  EXPECT_TRUE(take_record<protocol::Enrol>(ledger::RecordKind::enrol).has_value());
  job_.enrolled = {worker_->id()};
  put_job();
  block();
  start();
  link();
  // A second job of epsilon 1 does not fit beside the first.
  job_.enrolled.clear();
  job_.id.bytes.fill(8);
  ledger_.put(protocol::spec_key(job_.id), spec_);
  put_job();
  block();
  EXPECT_TRUE(take_record<protocol::Decline>(ledger::RecordKind::decline).has_value()) << said();
  EXPECT_THAT(said(), HasSubstr("epsilon"));
}

TEST_F(WorkerTest, DeclinesWhereItsRecordsWouldNotFitTheSum) {
  link();
  auto spec = clinics_job();
  spec.privacy.unit = protocol::PrivacyUnit::record;
  spec.privacy.clip_granules = 1 << 14;
  spec.preprocessing.standardise = protocol::Standardise::private_query;
  spec.preprocessing.fraction_bits = 23;  // of 256 records the sums may pass 2^31
  open_job(spec);
  EXPECT_THAT(tasks_, IsEmpty());
  EXPECT_TRUE(take_record<protocol::Decline>(ledger::RecordKind::decline).has_value());
  EXPECT_THAT(said(), HasSubstr("preprocessing.fraction_bits"));
}

class ManyJobsTest : public WorkerTest {
 protected:
  JobId other_id(int number) const {
    JobId id;
    id.bytes.fill(0x20);
    id.bytes[0] = static_cast<std::uint8_t>(number);
    id.bytes[1] = static_cast<std::uint8_t>(8 + number / 256);
    return id;
  }
  void put_other(int number, bool enrolled) {
    auto other = job_;
    other.id = other_id(number);
    other.phase = protocol::JobPhase::enrolling;
    other.enrolled.clear();
    if (enrolled) other.enrolled = {worker_->id()};
    ledger_.put(protocol::job_key(other.id), other);
  }
};

TEST_F(ManyJobsTest, AFloodStaysBoundedAndDoesNotDisplaceWork) {
  link();
  open_job(clinics_job());
  open_round();
  for (int i = 0; i < 300; ++i) put_other(i, false);
  block();
  EXPECT_EQ(worker_->live_jobs(), Worker::kJobsMax);
  for (int half = 0; half < 2; ++half) {
    pass(Worker::kUndecidedFor / 2);
    put_round(RoundPhase::committing);  // the round stays open
  }
  for (int i = 300; i < 400; ++i) put_other(i, false);
  block();
  EXPECT_EQ(worker_->live_jobs(), Worker::kJobsMax);
  put_round(RoundPhase::committing);
  commit();
  EXPECT_TRUE(take_reveal().has_value()) << "of a round under way";
}

TEST_F(ManyJobsTest, AJobThatIsHalfKnownOrDeclinedGivesRoomToAWholeOne) {
  link();
  open_job(clinics_job());
  answer_describe();
  job_.enrolled = {worker_->id()};
  put_job();
  block();
  const auto mine = job_;
  for (int i = 0; i < 63; ++i) put_other(i, false);  // their specifications never come
  block();
  // A declined one goes first.
  auto declined = job_;
  declined.id = other_id(5);
  declined.enrolled.clear();
  declined.declined = {worker_->id()};
  ledger_.put(protocol::job_key(declined.id), declined);
  job_.id = other_id(1000);
  job_.enrolled.clear();
  ledger_.put(protocol::spec_key(job_.id), spec_);
  block();
  put_job();
  block();
  EXPECT_EQ(worker_->live_jobs(), Worker::kJobsMax);
  ASSERT_THAT(tasks_, SizeIs(1)) << "the new job is looked at: " << said();
  answer_describe();
  EXPECT_TRUE(take_record<protocol::Enrol>(ledger::RecordKind::enrol).has_value());
  // After a while those that never became whole go too, and what is enrolled in stays.
  pass(Worker::kUndecidedFor);
  for (int i = 100; i < 300; ++i) put_other(i, true);
  block();
  job_ = mine;
  job_.reason = "still here";
  put_job();
  round_.cohort.resize(1);
  round_.cohort[0].worker = worker_->id();
  round_.job = job_.id;
  put_round(RoundPhase::committing);
  EXPECT_THAT(said(), HasSubstr("clinics round 0: sitting this round out"));
  EXPECT_THAT(said(), HasSubstr("others wait until one ends"));
}

TEST_F(ManyJobsTest, WhoFoundNoRoomIsAskedForWhenAJobEnds) {
  link();
  open_job(clinics_job());
  for (int i = 0; i < 64; ++i) put_other(i, true);
  block();
  EXPECT_THAT(said(), HasSubstr("others wait until one ends"));
  EXPECT_THAT(take_sent<protocol::StateQuery>(), IsEmpty());
  auto ended = job_;
  ended.id = other_id(0);
  ended.phase = protocol::JobPhase::finished;
  ledger_.put(protocol::job_key(ended.id), ended);
  block();
  const auto queries = take_sent<protocol::StateQuery>();
  ASSERT_THAT(queries, SizeIs(2));
  EXPECT_EQ(queries[0].prefix, protocol::job_key(other_id(63)));
  EXPECT_EQ(queries[1].prefix, protocol::spec_key(other_id(63)));
}

}  // namespace
}  // namespace fedmesh::worker
