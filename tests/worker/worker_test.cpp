#include "worker/worker.h"

#include "models/data/dataset_blob.h"
#include "tests/worker/worker_fixture.h"

namespace fedmesh::worker {
namespace {

using protocol::RoundPhase;
using ::testing::AnyOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;
using ::testing::SizeIs;

TEST_F(WorkerTest, GreetsAndWaitsForTheWelcome) {
  EXPECT_EQ(worker_->status(now_), "waiting for the coordinator");
  link();
  const auto hello = take_sent<protocol::Hello>();
  ASSERT_THAT(hello, SizeIs(1));
  EXPECT_EQ(hello[0].chain, ledger_.chain());
  EXPECT_TRUE(hello[0].subscribe);
  EXPECT_EQ(worker_->status(now_), "connected, no job is open");
}

TEST_F(WorkerTest, LeavesACoordinatorOfAnotherNetwork) {
  linked_ = true;
  step(LinkUp{kCoordinator});
  auto other = ledger_.genesis();
  other.network_name = "other";
  receive(protocol::Welcome{ledger::encode_genesis(other), {0}});
  EXPECT_THAT(disconnects_, ElementsAre(HasSubstr("pinned")));
}

TEST_F(WorkerTest, TalksToOneCoordinatorAtATime) {
  link();
  const NodeId stranger = test_key(33).node_id();
  step(LinkUp{stranger});
  EXPECT_THAT(disconnects_, SizeIs(1));
  step(Received{stranger, Bytes{1, 2, 3}});
  EXPECT_THAT(disconnects_, SizeIs(1)) << "what a stranger says is not read";
}

TEST_F(WorkerTest, GarbageAndForeignMessagesEndTheLink) {
  link();
  step(Received{kCoordinator, Bytes{0xff, 0x00}});
  EXPECT_THAT(disconnects_, SizeIs(1));
  unlink();
  link();
  receive(protocol::StatusQuery{1});
  EXPECT_THAT(disconnects_, SizeIs(2));
}

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

TEST_F(WorkerTest, AForgedEntryEndsTheLinkAndIsNotUsed) {
  link();
  spec_ = clinics_job();
  job_.id.bytes.fill(7);
  job_.config_hash = spec_.config_hash();
  ledger_.put(protocol::spec_key(job_.id), spec_);
  put_job();
  auto update = ledger_.block(now_);
  for (auto& entry : update.entries) {
    if (entry.key == protocol::job_key(job_.id)) (*entry.value)[10] ^= 1;
  }
  receive(update);
  EXPECT_THAT(disconnects_, ElementsAre(HasSubstr("proof")));
  EXPECT_EQ(worker_->live_jobs(), 0u);
}

TEST_F(WorkerTest, AForgedCertificateEndsTheLink) {
  link();
  auto update = ledger_.block(now_);
  update.header.timestamp_ms += 1;
  receive(update);
  EXPECT_THAT(disconnects_, SizeIs(1));
}

TEST_F(WorkerTest, AnOlderHeadThanBeforeTheRestartIsNotBelieved) {
  link();
  const auto old = ledger_.block(now_);
  receive(old);
  pass(Duration(20'000));
  block();
  start();
  link();
  spec_ = clinics_job();
  receive(old);
  EXPECT_EQ(worker_->live_jobs(), 0u);
  EXPECT_THAT(log_.back().event.kind, AnyOf("ledger.stale", "link.up"));
}

TEST_F(WorkerTest, TrainsQuantisesAndCommitsAfterPersisting) {
  link();
  open_job(clinics_job());
  open_round();
  ASSERT_THAT(tasks_, SizeIs(1)) << said();
  EXPECT_THAT(take_sent<protocol::BlobRequest>(), IsEmpty()) << "the first model is computed here";
  const auto task = trainer::decode_task<trainer::TrainTask>(tasks_.front().body);
  ASSERT_TRUE(task.ok());
  EXPECT_EQ(task->model, base_);
  EXPECT_THAT(worker_->status(now_), HasSubstr("clinics round 0: training (60 s left)"));
  EXPECT_FALSE(disk_.contains(opening_item(job_.id, round_.slot)));
  answer_train(1.0f);
  const auto record = take_record<protocol::Commit>(ledger::RecordKind::commit);
  ASSERT_TRUE(record.has_value());
  const auto stored = codec::decode<StoredOpening>(disk_.at(opening_item(job_.id, round_.slot)));
  ASSERT_TRUE(stored.ok());
  EXPECT_EQ(stored->commitment, record->commitment);
  const auto opening = codec::decode<protocol::Opening>(stored->opening);
  const auto update = codec::decode<protocol::Update>(opening->update);
  const auto values = trainer::int32s_of(update->values);
  EXPECT_EQ(values->at(0), 1 << 16);
  EXPECT_EQ(values->at(1), 1 << 14);
  EXPECT_EQ(protocol::commitment(ledger_.chain(), job_.id, round_.slot, round_.base_root,
                                 worker_->id(), round_.cohort[0].data_root, *opening, Digest{}),
            record->commitment);
}

TEST_F(WorkerTest, ClipsToTheJobsBound) {
  link();
  open_job(private_clinics_job());
  open_round();
  answer_train(100.0f);
  const auto stored = codec::decode<StoredOpening>(disk_.at(opening_item(job_.id, round_.slot)));
  const auto opening = codec::decode<protocol::Opening>(stored->opening);
  const auto update = codec::decode<protocol::Update>(opening->update);
  std::int64_t norm = 0;
  const auto values = trainer::int32s_of(update->values);
  for (const auto value : *values) norm += std::abs(value);
  EXPECT_LE(norm, spec_.privacy.clip_granules);
  EXPECT_GT(norm, spec_.privacy.clip_granules - 20);
}

TEST_F(WorkerTest, FetchesALaterModelInFramesAndVerifiesIt) {
  link();
  open_job(clinics_job());
  std::vector<float> parameters(models::elements(spec_.architecture.layout()), 0.5f);
  const Bytes model =
      models::encode_safetensors(models::unflatten(parameters, spec_.architecture.layout()));
  job_.base_root = crypto::blob_root(model);
  job_.rounds_done = 1;
  job_.next.round = {1};
  open_round();
  EXPECT_THAT(tasks_, IsEmpty());
  auto requests = take_sent<protocol::BlobRequest>();
  ASSERT_THAT(requests, SizeIs(1));
  EXPECT_EQ(requests[0].root, job_.base_root);
  receive(protocol::BlobMissing{job_.base_root});
  EXPECT_THAT(take_sent<protocol::BlobRequest>(), IsEmpty());
  pass(BlobFetcher::kRetry);
  EXPECT_THAT(take_sent<protocol::BlobRequest>(), SizeIs(1));
  receive(protocol::BlobFrame{job_.base_root, model.size(), 0, model});
  EXPECT_THAT(tasks_, SizeIs(1));
}

TEST_F(WorkerTest, AFalseModelEndsTheLink) {
  link();
  open_job(clinics_job());
  job_.base_root.bytes.fill(3);
  job_.rounds_done = 1;
  open_round();
  receive(protocol::BlobFrame{job_.base_root, 5, 0, Bytes(5)});
  EXPECT_THAT(disconnects_, SizeIs(1));
  EXPECT_THAT(tasks_, IsEmpty());
}

TEST_F(WorkerTest, ARestartGoesOnWithTheSameCommitment) {
  link();
  open_job(clinics_job());
  open_round();
  answer_train(1.0f);
  const auto first = take_record<protocol::Commit>(ledger::RecordKind::commit);
  start();  // before the record was final
  link();
  ledger_.put(protocol::spec_key(job_.id), spec_);
  put_job();
  put_round(RoundPhase::committing);
  EXPECT_THAT(tasks_, IsEmpty()) << "nothing is computed again";
  const auto again = take_record<protocol::Commit>(ledger::RecordKind::commit);
  ASSERT_TRUE(again.has_value()) << said();
  EXPECT_EQ(again->commitment, first->commitment);
}

TEST_F(WorkerTest, WithoutItsOpeningItSitsTheRoundOut) {
  link();
  open_job(clinics_job());
  open_round();
  answer_train(1.0f);
  const auto first = take_record<protocol::Commit>(ledger::RecordKind::commit);
  disk_.erase(opening_item(job_.id, round_.slot));
  start();
  link();
  ledger_.put(protocol::spec_key(job_.id), spec_);
  put_job();
  round_.cohort[0].commitment = first->commitment;
  put_round(RoundPhase::committing);
  EXPECT_THAT(tasks_, IsEmpty());
  EXPECT_THAT(take_records(), IsEmpty());
  EXPECT_THAT(said(), HasSubstr("second commitment"));
}

TEST_F(WorkerTest, ChangedDataSitsTheRoundOut) {
  link();
  open_job(clinics_job());
  answer_describe();
  job_.enrolled = {worker_->id()};
  put_job();
  round_.job = job_.id;
  round_.base_root = job_.base_root;
  round_.config_hash = job_.config_hash;
  round_.members.resize(1);
  round_.cohort.resize(1);
  round_.cohort[0].worker = worker_->id();
  round_.cohort[0].data_root.bytes.fill(1);
  put_round(RoundPhase::committing);
  EXPECT_THAT(tasks_, IsEmpty());
  EXPECT_THAT(said(), HasSubstr("data has changed"));
}

TEST_F(WorkerTest, RevealsOnlyWhenItsCommitmentIsFinal) {
  link();
  open_job(clinics_job());
  open_round();
  answer_train(1.0f);
  EXPECT_THAT(take_sent<protocol::OpeningFrame>(), IsEmpty());
  const auto commit_record = take_record<protocol::Commit>(ledger::RecordKind::commit);
  round_.cohort[0].commitment = commit_record->commitment;
  put_round(RoundPhase::committing);
  EXPECT_THAT(take_sent<protocol::OpeningFrame>(), IsEmpty());
  put_round(RoundPhase::revealing);
  const auto reveal = take_record<protocol::Reveal>(ledger::RecordKind::reveal);
  ASSERT_TRUE(reveal.has_value()) << said();
  const auto frames = take_sent<protocol::OpeningFrame>();
  ASSERT_THAT(frames, SizeIs(1));
  EXPECT_EQ(frames[0].total, reveal->length);
  EXPECT_EQ(reveal->suite, 0);
  EXPECT_TRUE(reveal->ciphertext_root.is_zero());
  receive(received(reveal->length));
  round_.cohort[0].reveal = Digest{};
  put_round(RoundPhase::revealing);
  EXPECT_THAT(worker_->status(now_), HasSubstr("update delivered"));
}

TEST_F(WorkerTest, ResumesABrokenTransferAfterLinkLoss) {
  link();
  open_job(clinics_job());
  open_round();
  commit();
  auto frames = take_sent<protocol::OpeningFrame>();
  ASSERT_THAT(frames, SizeIs(1));
  const auto reveals = take_records();
  unlink();
  pass(Duration(5'000));
  EXPECT_THAT(take_sent<protocol::OpeningFrame>(), IsEmpty());
  EXPECT_THAT(worker_->status(now_), HasSubstr("waiting for the coordinator"));
  link();
  frames = take_sent<protocol::OpeningFrame>();
  ASSERT_THAT(frames, SizeIs(1));
  EXPECT_EQ(take_records(), reveals) << "the same reveal, again";
  receive(received(0, "this round takes no openings now"));
  EXPECT_THAT(take_sent<protocol::OpeningFrame>(), IsEmpty());
  pass(OpeningTransfer::kRetry);
  EXPECT_THAT(take_sent<protocol::OpeningFrame>(), SizeIs(1)) << "the member was a block behind";
}

TEST_F(WorkerTest, KeepsAReceiptOfItsContributionWithTheProof) {
  link();
  open_job(clinics_job());
  open_round();
  const Digest commitment = commit();
  const auto total = take_sent<protocol::OpeningFrame>().at(0).total;
  receive(received(total));
  round_.cohort[0].reveal = Digest{};
  put_round(RoundPhase::checking);
  put_round(RoundPhase::finished);
  const auto queries = take_sent<protocol::StateQuery>();
  ASSERT_THAT(queries, SizeIs(1)) << said();
  protocol::Contribution contribution;
  contribution.job = job_.id;
  contribution.slot = round_.slot;
  contribution.worker = worker_->id();
  contribution.commitment = commitment;
  ledger_.put(queries[0].prefix, contribution);
  receive(protocol::StateAnswer{queries[0].id, ledger_.block(now_), false});
  const auto proof = ledger::decode_state_entry_proof(disk_.at("receipt-" + job_.id.hex() + "-0"));
  ASSERT_TRUE(proof.ok());
  EXPECT_TRUE(ledger::verify_proof(ledger_.genesis(), *proof).ok());
  pass(Worker::kReceiptRetry);
  EXPECT_THAT(take_sent<protocol::StateQuery>(), IsEmpty());
}

TEST_F(WorkerTest, OneBlockMayEndTheRoundAndOpenTheNextOrEndTheJob) {
  link();
  open_job(clinics_job());
  open_round();
  commit();
  receive(received(take_sent<protocol::OpeningFrame>().at(0).total));
  round_.cohort[0].reveal = Digest{};
  put_round(RoundPhase::checking);
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

class RoundEndTest : public WorkerTest, public testing::WithParamInterface<RoundPhase> {};

TEST_P(RoundEndTest, ErasesTheOpening) {
  link();
  open_job(clinics_job());
  open_round();
  commit();
  EXPECT_THAT(take_sent<protocol::OpeningFrame>(), SizeIs(1));
  EXPECT_TRUE(disk_.contains(opening_item(job_.id, round_.slot)));
  put_round(GetParam());
  EXPECT_FALSE(disk_.contains(opening_item(job_.id, round_.slot)));
  pass(OpeningTransfer::kRetry);
  EXPECT_THAT(take_sent<protocol::OpeningFrame>(), IsEmpty());
}

INSTANTIATE_TEST_SUITE_P(Ends, RoundEndTest,
                         testing::Values(RoundPhase::finished, RoundPhase::voided));

TEST_F(WorkerTest, GivesUpAtTheDeadlineAndSaysWhich) {
  link();
  open_job(clinics_job());
  open_round();
  ASSERT_THAT(tasks_, SizeIs(1));
  ASSERT_TRUE(worker_->next_wake().has_value());
  EXPECT_LE(*worker_->next_wake(), Instant{round_.deadline_ms});
  pass(Duration(61'000));
  EXPECT_THAT(cancelled_, ElementsAre(tasks_.front().id));
  EXPECT_THAT(said(), HasSubstr("commit deadline"));
  answer_train(1.0f);
  EXPECT_THAT(take_records(), IsEmpty());
}

TEST_F(WorkerTest, UpdateOfAnotherSizeIsNotCommitted) {
  link();
  open_job(clinics_job());
  open_round();
  answer(trainer::TaskKind::train, trainer::TrainResult{Bytes(8), 3, 0});
  EXPECT_THAT(take_records(), IsEmpty());
  EXPECT_THAT(said(), HasSubstr("another number of values"));
}

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
    for (const auto& request : take_sent<protocol::BlobRequest>()) {
      const Bytes& blob = request.root == crypto::blob_root(base_) ? base_ : evaluation_;
      receive(protocol::BlobFrame{request.root, blob.size(), request.offset, blob});
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

TEST_F(WorkerTest, AFloodOfJobsStaysBoundedAndDoesNotDisplaceWork) {
  link();
  open_job(clinics_job());
  open_round();
  const auto mine = job_.id;
  auto other = job_;
  other.enrolled.clear();
  other.phase = protocol::JobPhase::enrolling;
  for (int i = 0; i < 300; ++i) {
    other.id.bytes[0] = static_cast<std::uint8_t>(i);
    other.id.bytes[1] = static_cast<std::uint8_t>(8 + i / 256);
    ledger_.put(protocol::job_key(other.id), other);
  }
  block();
  EXPECT_LE(worker_->live_jobs(), Worker::kJobsMax);
  put_round(RoundPhase::committing);
  commit();
  EXPECT_THAT(take_sent<protocol::OpeningFrame>(), SizeIs(1)) << "round of " << mine.short_hex();
}

TEST_F(WorkerTest, OrphanedOpeningsAreErased) {
  JobId gone;
  gone.bytes.fill(0x44);
  disk_[opening_item(gone, {})] = Bytes(10);
  start();
  link();
  block();
  EXPECT_TRUE(disk_.contains(opening_item(gone, {})));
  pass(Duration(61'000));
  EXPECT_FALSE(disk_.contains(opening_item(gone, {})));
}

TEST_F(WorkerTest, LogsNothingPrivate) {
  link();
  open_job(clinics_job());
  open_round();
  commit();
  const auto stored = codec::decode<StoredOpening>(disk_.at(opening_item(job_.id, round_.slot)));
  const auto opening = codec::decode<protocol::Opening>(stored->opening);
  for (const auto& log : log_) {
    const std::string line = to_json_line(log.event);
    EXPECT_THAT(line, Not(HasSubstr(to_hex(opening->salt))));
    EXPECT_THAT(line, Not(HasSubstr(stored->commitment.hex())));
  }
}

}  // namespace
}  // namespace fedmesh::worker
