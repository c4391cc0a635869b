// What a worker that ends in the middle of a round does when it comes back: it goes on with what it
// committed to, or sits the round out; it never commits twice.
#include "tests/worker/worker_fixture.h"

namespace fedmesh::worker {
namespace {

using protocol::RoundPhase;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;

class RestartTest : public WorkerTest {
 protected:
  void begin() {
    link();
    open_job(private_clinics_job());
    open_round(4);
  }
  // The first commitment is final from here on.
  void settle(const Digest& commitment, RoundPhase phase) {
    round_.cohort[0].commitment = commitment;
    put_round(phase);
  }
};

TEST_F(RestartTest, WhileTraining) {
  begin();
  restart();
  ASSERT_THAT(tasks_, SizeIs(1)) << "it is computed again: nothing was committed to";
  answer_train(1.0f);
  EXPECT_TRUE(take_commit().has_value());
}

TEST_F(RestartTest, BeforeTheCommitmentIsFinal) {
  begin();
  answer_train(1.0f);
  const auto first = take_commit();
  ASSERT_TRUE(first.has_value());
  restart();
  EXPECT_THAT(tasks_, IsEmpty()) << "nothing is computed again";
  const auto again = take_commit();
  ASSERT_TRUE(again.has_value()) << said();
  EXPECT_EQ(again->commitment, first->commitment);
  EXPECT_TRUE(blobs_.contains(stored_opening().ciphertext_root));
  settle(first->commitment, RoundPhase::revealing);
  EXPECT_TRUE(take_reveal().has_value()) << said();
}

TEST_F(RestartTest, BetweenCommitmentAndReveal) {
  begin();
  answer_train(1.0f);
  const auto first = take_commit();
  settle(first->commitment, RoundPhase::committing);
  restart();
  EXPECT_THAT(take_records(), IsEmpty());
  EXPECT_THAT(tasks_, IsEmpty());
  settle(first->commitment, RoundPhase::revealing);
  const auto reveal = take_reveal();
  ASSERT_TRUE(reveal.has_value()) << said();
  const auto key = protocol::open_key(member_secret(2), crypto::x25519_public(member_secret(2)),
                                      context(), reveal->keys.at(2), reveal->ciphertext_root);
  ASSERT_TRUE(key.ok());
  EXPECT_EQ(commitment_of(read_update(blobs_.at(reveal->ciphertext_root), *key)),
            first->commitment);
}

TEST_F(RestartTest, BeforeTheRevealIsFinal) {
  begin();
  commit();
  const auto first = take_reveal();
  ASSERT_TRUE(first.has_value());
  restart();
  const auto again = take_reveal();
  ASSERT_TRUE(again.has_value()) << said();
  EXPECT_EQ(codec::encode(*again), codec::encode(*first)) << "the boxes follow from the key";
}

TEST_F(RestartTest, AfterTheRevealTheCiphertextStays) {
  begin();
  const auto reveal = deliver();
  restart();
  EXPECT_THAT(take_records(), IsEmpty());
  EXPECT_THAT(tasks_, IsEmpty());
  EXPECT_TRUE(blobs_.contains(reveal.ciphertext_root)) << "members may still fetch it";
  put_round(RoundPhase::aggregating);
  restart();
  EXPECT_TRUE(blobs_.contains(reveal.ciphertext_root));
  put_round(RoundPhase::finished);
  EXPECT_FALSE(blobs_.contains(reveal.ciphertext_root));
  EXPECT_FALSE(disk_.contains(opening_name()));
}

// The host may die between any two effects.
class DeathTest : public RestartTest, public testing::WithParamInterface<std::size_t> {};

TEST_P(DeathTest, NeverLeadsToASecondCommitment) {
  begin();
  die_after_ = GetParam();
  answer_train(1.0f);
  const auto before = take_commit();
  if (before) {
    EXPECT_TRUE(disk_.contains(opening_name()));
    EXPECT_TRUE(blobs_.contains(stored_opening().ciphertext_root));
  }
  const bool stored = disk_.contains(opening_name());
  restart();
  if (stored) {
    EXPECT_THAT(tasks_, IsEmpty());
  } else {
    EXPECT_FALSE(before.has_value());
    answer_train(2.0f);
  }
  const auto after = take_commit();
  ASSERT_TRUE(after.has_value()) << said();
  EXPECT_EQ(after->commitment, before.value_or(*after).commitment);
  EXPECT_EQ(commitment_of(own_update()), after->commitment);
  settle(after->commitment, RoundPhase::revealing);
  EXPECT_TRUE(take_reveal().has_value()) << said();
}

INSTANTIATE_TEST_SUITE_P(AfterEffects, DeathTest, testing::Range<std::size_t>(0, 7));

TEST_F(RestartTest, WithoutItsOpeningItSitsTheRoundOut) {
  begin();
  answer_train(1.0f);
  const auto first = take_commit();
  disk_.erase(opening_name());
  round_.cohort[0].commitment = first->commitment;
  restart();
  EXPECT_THAT(tasks_, IsEmpty());
  EXPECT_THAT(take_records(), IsEmpty());
  EXPECT_THAT(said(), HasSubstr("second commitment"));
  put_round(RoundPhase::revealing);
  EXPECT_THAT(take_records(), IsEmpty());
}

TEST_F(RestartTest, ADamagedOpeningSitsTheRoundOutToo) {
  begin();
  answer_train(1.0f);
  const auto first = take_commit();
  disk_.at(opening_name()).resize(20);
  round_.cohort[0].commitment = first->commitment;
  restart();
  EXPECT_THAT(tasks_, IsEmpty());
  EXPECT_THAT(take_records(), IsEmpty());
  EXPECT_THAT(said(), HasSubstr("damaged"));
}

TEST_F(RestartTest, AnotherCommitmentUnderItsKeyIsNotRevealedTo) {
  begin();
  answer_train(1.0f);
  Digest foreign;
  foreign.bytes.fill(9);
  settle(foreign, RoundPhase::revealing);
  EXPECT_FALSE(take_reveal().has_value());
  EXPECT_THAT(said(), HasSubstr("is the key used twice"));
}

TEST_F(RestartTest, ARoundThatEndedMeanwhileLeavesNothing) {
  begin();
  const auto reveal = deliver();
  const auto name = opening_name();
  start();
  EXPECT_TRUE(disk_.contains(name));
  link();
  EXPECT_TRUE(blobs_.contains(reveal.ciphertext_root)) << "nothing is known of the round yet";
  job_.next.round = {1};
  job_.phase = protocol::JobPhase::drawing;
  ledger_.put(protocol::spec_key(job_.id), spec_);
  put_job();
  block();
  EXPECT_FALSE(disk_.contains(name));
  EXPECT_FALSE(blobs_.contains(reveal.ciphertext_root));
}

// It ended between its reveal and hearing that the reveal is final, and the round ended before it
// was back: the opening is all that says that there may be a receipt.
TEST_F(RestartTest, ARoundThatEndedMeanwhileIsAskedForItsReceipt) {
  begin();
  answer_train(1.0f);
  const auto commit = take_commit();
  ASSERT_TRUE(commit.has_value());
  start();
  link();
  take_sent<protocol::StateQuery>();
  job_.next.round = {1};
  job_.phase = protocol::JobPhase::drawing;
  ledger_.put(protocol::spec_key(job_.id), spec_);
  put_job();
  block();
  const auto key = protocol::contribution_key(job_.id, round_.slot.round, worker_->id());
  const auto take_queries = [&] {
    auto queries = take_sent<protocol::StateQuery>();
    std::erase_if(queries, [&](const auto& query) { return query.prefix != key; });
    return queries;
  };
  ASSERT_THAT(take_queries(), SizeIs(1));
  unlink();  // before the answer
  link();
  const auto queries = take_queries();
  ASSERT_THAT(queries, SizeIs(1));
  protocol::Contribution contribution;
  contribution.job = job_.id;
  contribution.slot = round_.slot;
  contribution.worker = worker_->id();
  contribution.commitment = commit->commitment;
  ledger_.put(key, contribution);
  receive(protocol::StateAnswer{queries[0].id, ledger_.block(now_), false});
  EXPECT_TRUE(disk_.contains("receipt-" + job_.id.hex() + "-0"));
  EXPECT_FALSE(disk_.contains(receipt_wanted_item(job_.id, round_.slot.round)));
}

TEST_F(RestartTest, AReceiptThatThereIsNotIsNotAskedForAgain) {
  begin();
  answer_train(1.0f);
  ASSERT_TRUE(take_commit().has_value());
  start();
  link();
  take_sent<protocol::StateQuery>();
  job_.phase = protocol::JobPhase::stopped;
  put_job();
  block();
  const auto key = protocol::contribution_key(job_.id, round_.slot.round, worker_->id());
  const auto queries = take_sent<protocol::StateQuery>();
  ASSERT_THAT(queries, SizeIs(1));
  EXPECT_EQ(queries[0].prefix, key);
  receive(protocol::StateAnswer{queries[0].id, {}, false});
  unlink();
  link();
  for (const auto& query : take_sent<protocol::StateQuery>()) EXPECT_NE(query.prefix, key);
}

TEST_F(RestartTest, OfTwoRoundsOnlyTheOneThatIsOverIsErased) {
  begin();
  answer_train(1.0f);
  take_commit();
  auto earlier = round_.slot;
  round_.slot.attempt = {1};
  job_.next = round_.slot;
  // The opening of the attempt that is open, beside one of the attempt before.
  Bytes item = disk_.at(opening_item(job_.id, earlier));
  auto moved = *codec::decode<StoredOpening>(item);
  moved.slot = round_.slot;
  disk_[opening_name()] = codec::encode(moved);
  start();
  link();
  // A slow coordinator may speak of the earlier attempt first.
  const auto open = round_;
  round_.slot = earlier;
  job_.next = earlier;
  ledger_.put(protocol::spec_key(job_.id), spec_);
  put_job();
  put_round(RoundPhase::voided);
  EXPECT_FALSE(disk_.contains(opening_item(job_.id, earlier)));
  EXPECT_TRUE(disk_.contains(opening_item(job_.id, open.slot)));
  round_ = open;
  job_.next = open.slot;
  put_job();
  put_round(RoundPhase::committing);
  EXPECT_EQ(take_commit()->commitment, moved.commitment);
}

TEST_F(RestartTest, AJobThatEndedMeanwhileLeavesNothing) {
  begin();
  const auto reveal = deliver();
  const auto name = opening_name();
  start();
  link();
  job_.phase = protocol::JobPhase::stopped;
  put_job();
  block();
  EXPECT_FALSE(disk_.contains(name));
  EXPECT_FALSE(blobs_.contains(reveal.ciphertext_root));
}

TEST_F(RestartTest, OrphanedOpeningsAreErased) {
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

}  // namespace
}  // namespace fedmesh::worker
