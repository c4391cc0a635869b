// A worker's share of a round: what it computes, seals, commits to and reveals.
#include <cmath>
#include <limits>

#include "tests/worker/worker_fixture.h"

namespace fedmesh::worker {
namespace {

using protocol::RoundPhase;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;

TEST_F(WorkerTest, TrainsFromAnInitialModelThatIsComputedHere) {
  link();
  open_job(clinics_job());
  open_round();
  EXPECT_THAT(fetches_, IsEmpty());
  ASSERT_THAT(tasks_, SizeIs(1)) << said();
  const auto task = trainer::decode_task<trainer::TrainTask>(tasks_.front().body);
  ASSERT_TRUE(task.ok());
  EXPECT_EQ(task->model, base_);
  EXPECT_THAT(worker_->status(now_), HasSubstr("clinics round 0: training (60 s left)"));
  // A second attempt of the round begins from it as well.
  put_round(RoundPhase::voided);
  tasks_.clear();
  job_.next.attempt = {1};
  put_job();
  round_.slot = job_.next;
  put_round(RoundPhase::committing);
  EXPECT_THAT(fetches_, IsEmpty());
  EXPECT_THAT(tasks_, SizeIs(1)) << said();
}

template <class T>
std::optional<std::size_t> place_of(const std::vector<Effect>& effects,
                                    const std::function<bool(const T&)>& is_it) {
  for (std::size_t i = 0; i < effects.size(); ++i)
    if (const auto* effect = std::get_if<T>(&effects[i]); effect != nullptr && is_it(*effect))
      return i;
  return std::nullopt;
}

TEST_F(WorkerTest, KeepsThenStoresThenPersistsThenCommits) {
  link();
  open_job(clinics_job());
  open_round();
  EXPECT_FALSE(disk_.contains(opening_name()));
  all_.clear();
  answer_train(1.0f);
  const auto stored = stored_opening();
  const auto record = take_commit();
  ASSERT_TRUE(record.has_value()) << said();
  EXPECT_EQ(record->commitment, stored.commitment);
  const auto kept = place_of<KeepBlobs>(
      all_, [&](const auto& keep) { return keep.roots.contains(stored.ciphertext_root); });
  const auto blob = place_of<StoreBlob>(
      all_, [&](const auto& effect) { return effect.root == stored.ciphertext_root; });
  const auto item =
      place_of<Persist>(all_, [&](const auto& effect) { return effect.name == opening_name(); });
  const auto sent = place_of<Send>(all_, [](const auto&) { return true; });
  ASSERT_TRUE(kept && blob && item && sent);
  EXPECT_LT(*kept, *blob);
  EXPECT_LT(*blob, *item);
  EXPECT_LT(*item, *sent);
}

TEST_F(WorkerTest, CommitsToTheQuantisedValuesWithFreshSecrets) {
  link();
  open_job(clinics_job());
  open_round();
  answer_train(1.0f);
  const auto update = own_update();
  ASSERT_EQ(update.values.size(), models::elements(spec_.architecture.layout()));
  EXPECT_EQ(update.values[0], 1 << 16);
  EXPECT_EQ(update.values[1], 1 << 14);
  EXPECT_EQ(update.header.examples, round_.cohort[0].record_count);
  EXPECT_NE(update.header.salt, update.header.seed_share);
  EXPECT_EQ(commitment_of(update), stored_opening().commitment);
  EXPECT_EQ(commitment_of(update), take_commit()->commitment);
}

TEST_F(WorkerTest, ClipsToTheJobsBound) {
  link();
  open_job(private_clinics_job());
  open_round();
  answer_train(100.0f);
  std::int64_t norm = 0;
  for (const auto value : own_update().values) norm += std::abs(value);
  EXPECT_LE(norm, spec_.privacy.clip_granules);
  EXPECT_GT(norm, spec_.privacy.clip_granules - 20);
}

TEST_F(WorkerTest, RevealsOnlyWhenItsCommitmentIsFinal) {
  link();
  open_job(clinics_job());
  open_round();
  answer_train(1.0f);
  round_.cohort[0].commitment = take_commit()->commitment;
  put_round(RoundPhase::committing);
  EXPECT_THAT(take_records(), IsEmpty());
  put_round(RoundPhase::revealing);
  EXPECT_TRUE(take_reveal().has_value()) << said();
  round_.cohort[0].reveal = Digest{};
  put_round(RoundPhase::revealing);
  EXPECT_THAT(worker_->status(now_), HasSubstr("update sealed and revealed"));
  pass(Outbox::kResend);
  EXPECT_THAT(take_records(), IsEmpty()) << "the state shows it";
}

TEST_F(WorkerTest, TheRevealCarriesABoxForEveryMember) {
  link();
  open_job(private_clinics_job());
  open_round(4);
  const Digest commitment = commit();
  const auto reveal = take_reveal();
  ASSERT_TRUE(reveal.has_value()) << said();
  EXPECT_EQ(reveal->suite, protocol::kSealSuite);
  EXPECT_EQ(reveal->slot, round_.slot);
  const Bytes& sealed = blobs_.at(reveal->ciphertext_root);
  EXPECT_EQ(crypto::blob_root(sealed), reveal->ciphertext_root);
  EXPECT_EQ(sealed.size(), reveal->length);
  EXPECT_EQ(sealed.size(), protocol::sealed_bytes(models::elements(spec_.architecture.layout())));
  ASSERT_THAT(reveal->keys, SizeIs(4));
  for (std::size_t i = 0; i < 4; ++i) {
    EXPECT_EQ(reveal->keys[i].member, round_.members[i].member);
    const auto key = protocol::open_key(member_secret(i), crypto::x25519_public(member_secret(i)),
                                        context(), reveal->keys[i], reveal->ciphertext_root);
    ASSERT_TRUE(key.ok()) << key.error().to_string();
    const auto update = read_update(sealed, *key);
    EXPECT_EQ(commitment_of(update), commitment);
    std::int64_t norm = 0;
    for (const auto value : update.values) norm += std::abs(value);
    EXPECT_LE(norm, spec_.privacy.clip_granules);
    EXPECT_FALSE(protocol::open_key(member_secret((i + 1) % 4),
                                    crypto::x25519_public(member_secret((i + 1) % 4)), context(),
                                    reveal->keys[i], reveal->ciphertext_root)
                     .ok())
        << "another member's key does not open it";
  }
}

struct BadKeyCase {
  const char* expected;
  std::function<void(protocol::RoundState&)> change;
};

TEST_F(WorkerTest, AMemberThatCannotBeSealedToIsAReasonToSitOut) {
  const BadKeyCase cases[] = {
      {"has no round key", [](auto& round) { round.members[1].round_key.reset(); }},
      {"a round key of no use",
       [](auto& round) { round.members[1].round_key = crypto::X25519Public{}; }},
      {"a round key of no use",
       [](auto& round) {
         crypto::X25519Public one;  // of order 1
         one.bytes[0] = 1;
         round.members[1].round_key = one;
       }},
      {"no aggregator committee", [](auto& round) { round.members.clear(); }},
  };
  link();
  open_job(private_clinics_job());
  open_round(4);
  const auto good = round_;
  const Bytes grants = disk_.at("grants");
  for (const auto& bad : cases) {
    SCOPED_TRACE(bad.expected);
    log_.clear();
    tasks_.clear();
    job_.next.attempt.value += 1;
    put_job();
    round_ = good;
    round_.slot = job_.next;
    bad.change(round_);
    put_round(RoundPhase::committing);
    if (!tasks_.empty()) commit();
    EXPECT_FALSE(take_reveal().has_value());
    EXPECT_THAT(said(), HasSubstr(bad.expected));
    EXPECT_EQ(disk_.at("grants"), grants) << "nothing was released, nothing is charged";
  }
}

class SumTest : public WorkerTest, public testing::WithParamInterface<std::int32_t> {};

TEST_P(SumTest, ThatReachesTheEndOfItsRangeIsNotCommitted) {
  link();
  auto spec = clinics_job();
  spec.privacy.unit = protocol::PrivacyUnit::record;
  open_job(spec);
  open_round();
  ASSERT_THAT(tasks_, SizeIs(1)) << said();
  std::vector<std::int32_t> sums(models::elements(spec_.architecture.layout()), 3);
  sums.back() = GetParam();
  answer(trainer::TaskKind::gradient,
         trainer::VectorResult{trainer::to_le_bytes(sums), round_.cohort[0].record_count});
  EXPECT_FALSE(take_commit().has_value());
  EXPECT_THAT(said(), HasSubstr("does not fit 32 bits"));
}

INSTANTIATE_TEST_SUITE_P(Ends, SumTest,
                         testing::Values(std::numeric_limits<std::int32_t>::max(),
                                         std::numeric_limits<std::int32_t>::min()));

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

}  // namespace
}  // namespace fedmesh::worker
