// A round phase by phase: who may say what when, early ends and deadlines, void rounds.
#include "coordinator/ledger/merkle.h"
#include "coordinator/rounds/round_phases.h"
#include "tests/coordinator/rounds/machine_fixture.h"

namespace fedmesh::rounds {
namespace {

using ledger::RecordKind;
using protocol::JobPhase;
using protocol::RoundPhase;
using protocol::Score;
using testing::ElementsAre;
using testing::HasSubstr;

class RoundTest : public MachineTest {};

TEST_F(RoundTest, OpensWithCohortCommitteeAndReservation) {
  submit(small_spec());
  enrol_all();
  open();
  EXPECT_EQ(round().phase, RoundPhase::accepting);
  EXPECT_EQ(round().cohort.size(), 3u);
  EXPECT_EQ(round().members.size(), 1u);
  EXPECT_EQ(round().epsilon_nano, 400'000'000);
  EXPECT_FALSE(round().charged);
  EXPECT_EQ(spent(), 0);
  EXPECT_EQ(with_reserved(), 400'000'000);
  EXPECT_EQ(round().config_hash, spec_.config_hash());
  EXPECT_EQ(machine_.next_deadline(state_)->ms, round().deadline_ms);
}

TEST_F(RoundTest, EndsEveryPhaseEarlyWhenAllHaveAnswered) {
  start();
  EXPECT_EQ(round().phase, RoundPhase::committing);
  commit({0, 1});
  EXPECT_EQ(round().phase, RoundPhase::committing);
  commit({2});
  EXPECT_EQ(round().phase, RoundPhase::revealing);
  reveal({0, 1});
  EXPECT_EQ(round().phase, RoundPhase::revealing);
  reveal({2});
  EXPECT_EQ(round().phase, RoundPhase::checking);
  say(kHub, RecordKind::avail, avail());
  EXPECT_EQ(round().phase, RoundPhase::aggregating);
  EXPECT_TRUE(round().charged);
  EXPECT_EQ(spent(), 400'000'000);
  say(kHub, RecordKind::attest, attestation());
  EXPECT_EQ(round(1).phase, RoundPhase::finished);
  EXPECT_EQ(job().model_root, crypto::blake2b(as_bytes("model")));
  EXPECT_EQ(job().next.round.value, 2u);
}

TEST_F(RoundTest, SIsWhatWasRevealedAndAvailable) {
  start();
  commit(everybody());
  reveal(everybody());
  const auto before = round();
  say(kHub, RecordKind::avail, avail({1}));
  std::vector<Digest> leaves;
  for (const auto& slot : round().cohort) {
    EXPECT_EQ(slot.in_set, slot.worker != id_of(worker(1)));
    if (slot.in_set) leaves.push_back(*slot.reveal);
  }
  EXPECT_EQ(round().reveal_set_root, ledger::merkle_root_of_hashes(leaves));
  EXPECT_EQ(before.reveal_set_root, std::nullopt);
}

TEST_F(RoundTest, EndsPhasesAtTheirDeadlineWithoutTheMissing) {
  start();
  commit({0, 1});
  pass_deadline();
  EXPECT_EQ(round().phase, RoundPhase::revealing);
  EXPECT_EQ(round().deadline_ms, round().phase_opened_ms + 60'000);
  reveal({0, 1});  // all that committed
  EXPECT_EQ(round().phase, RoundPhase::checking);
}

TEST_F(RoundTest, ADeadlineIsInclusiveAndABlockClearsIt) {
  start();
  commit({0, 1});
  const auto due = *machine_.next_deadline(state_);
  now_ = Instant{due.ms - 1};
  end_block();
  EXPECT_EQ(round().phase, RoundPhase::committing);
  now_ = due;
  end_block();
  EXPECT_EQ(round().phase, RoundPhase::revealing);
  EXPECT_GT(machine_.next_deadline(state_)->ms, now_.ms);
}

TEST_F(RoundTest, TooFewCommitmentsVoidItAndReleaseItsEpsilon) {
  start();
  commit({0});
  pass_deadline();
  EXPECT_EQ(round(1, 0).phase, RoundPhase::voided);
  EXPECT_THAT(round(1, 0).reason, HasSubstr("1 of 3 workers committed, 2 needed; missing "));
  EXPECT_THAT(round(1, 0).reason, HasSubstr(id_of(worker(2)).short_hex()));
  EXPECT_EQ(job().phase, JobPhase::drawing);
  EXPECT_EQ(job().next, (protocol::Slot{RoundNumber{1}, Attempt{1}}));
  EXPECT_EQ(with_reserved(), 0);
  EXPECT_EQ(job().void_rounds, 1u);
}

TEST_F(RoundTest, TooFewRevealsVoidIt) {
  start();
  commit(everybody());
  reveal({2});
  pass_deadline();
  EXPECT_THAT(round(1, 0).reason, HasSubstr("1 of 3 workers revealed, 2 needed"));
  EXPECT_EQ(with_reserved(), 0);
}

TEST_F(RoundTest, TooFewValidUpdatesVoidItWithoutACharge) {
  start();
  commit(everybody());
  reveal(everybody());
  say(kHub, RecordKind::avail, avail({0, 1}));
  EXPECT_EQ(round(1, 0).phase, RoundPhase::voided);
  EXPECT_THAT(round(1, 0).reason, HasSubstr("1 of 3 workers sent a valid update"));
  EXPECT_FALSE(round(1, 0).reveal_set_root.has_value());
  EXPECT_EQ(with_reserved(), 0);
}

TEST_F(RoundTest, ASilentAggregatorVoidsCheckingWithoutACharge) {
  start();
  commit(everybody());
  reveal(everybody());
  pass_deadline();
  EXPECT_THAT(round(1, 0).reason, HasSubstr("0 of 1 aggregators checked"));
  EXPECT_EQ(with_reserved(), 0);
}

TEST_F(RoundTest, AFrozenRoundKeepsItsChargeWhatever) {
  start();
  commit(everybody());
  reveal(everybody());
  say(kHub, RecordKind::avail, avail());
  pass_deadline();
  EXPECT_EQ(round(1, 0).phase, RoundPhase::voided);
  EXPECT_TRUE(round(1, 0).charged);
  EXPECT_EQ(spent(), 400'000'000);
  open();
  accept();
  say(kOwner, RecordKind::stop, protocol::Stop{});
  EXPECT_EQ(with_reserved(), 400'000'000) << "of the first attempt; the second is released";
}

TEST_F(RoundTest, TooManyVoidRoundsFailTheJob) {
  submit(small_spec());
  enrol_all();
  for (int attempt = 0; attempt < 3; ++attempt) {
    EXPECT_EQ(job().phase, JobPhase::drawing);
    open();
    accept();
    pass_deadline();
  }
  EXPECT_EQ(job().phase, JobPhase::failed);
  EXPECT_THAT(job().reason, HasSubstr("3 rounds in a row were void, the last: 0 of 3 workers"));
}

TEST_F(RoundTest, AGoodRoundForgetsTheVoidOnes) {
  submit(small_spec());
  enrol_all();
  open();
  accept();
  pass_deadline();
  EXPECT_EQ(job().void_rounds, 1u);
  play_round();
  EXPECT_EQ(job().void_rounds, 0u);
  EXPECT_EQ(job().next, (protocol::Slot{RoundNumber{2}, Attempt{0}}));
}

// Every record of a round: from the wrong author, in the wrong phase, for the wrong slot, twice.
TEST_F(RoundTest, RecordsFromOutsideTheRoundAreRefused) {
  submit(small_spec());
  enrol_all();
  open();
  for (const std::uint8_t author : {kOwner, worker(0), kStranger})
    EXPECT_EQ(refusal(author, RecordKind::accept, acceptance()), ErrorCode::unauthenticated);
  accept();
  for (const std::uint8_t author : {kHub, kOwner, kStranger})
    EXPECT_EQ(refusal(author, RecordKind::commit, commitment(0)), ErrorCode::unauthenticated);
  commit(everybody());
  for (const std::uint8_t author : {kHub, kOwner, kStranger})
    EXPECT_EQ(refusal(author, RecordKind::reveal, revelation()), ErrorCode::unauthenticated);
  reveal(everybody());
  for (const std::uint8_t author : {kOwner, worker(0), kStranger})
    EXPECT_EQ(refusal(author, RecordKind::avail, avail()), ErrorCode::unauthenticated);
  say(kHub, RecordKind::avail, avail());
  for (const std::uint8_t author : {kOwner, worker(0), kStranger})
    EXPECT_EQ(refusal(author, RecordKind::attest, attestation()), ErrorCode::unauthenticated);
}

TEST_F(RoundTest, RecordsInTheWrongPhaseAreStale) {
  start();
  EXPECT_EQ(refusal(kHub, RecordKind::accept, acceptance()), ErrorCode::stale);
  EXPECT_EQ(refusal(worker(0), RecordKind::reveal, revelation()), ErrorCode::stale);
  EXPECT_EQ(refusal(kHub, RecordKind::avail, avail()), ErrorCode::stale);
  EXPECT_EQ(refusal(worker(0), RecordKind::score_commit, protocol::ScoreCommit{slot(), {}}),
            ErrorCode::stale);
  protocol::ScoreReveal score;
  score.slot = slot();
  EXPECT_EQ(refusal(worker(0), RecordKind::score_reveal, score), ErrorCode::stale);
  protocol::Attest attest;
  attest.slot = slot();
  EXPECT_EQ(refusal(kHub, RecordKind::attest, attest), ErrorCode::stale);
  commit(everybody());
  EXPECT_EQ(refusal(worker(0), RecordKind::commit, commitment(0)), ErrorCode::stale);
  EXPECT_THAT(refused_because_, HasSubstr("round 1 is in its phase"));
}

TEST_F(RoundTest, RecordsOfAnotherRoundOrAttemptAreStale) {
  start();
  for (const auto& other :
       {protocol::Slot{RoundNumber{1}, Attempt{1}}, protocol::Slot{RoundNumber{2}, Attempt{0}},
        protocol::Slot{RoundNumber{0}, Attempt{0}}}) {
    auto commit = commitment(0);
    commit.slot = other;
    EXPECT_EQ(refusal(worker(0), RecordKind::commit, commit), ErrorCode::stale);
  }
}

TEST_F(RoundTest, NothingIsSaidTwice) {
  start();
  commit({0});
  EXPECT_EQ(refusal(worker(0), RecordKind::commit, commitment(0)), ErrorCode::stale);
  EXPECT_EQ(refusal(worker(0), RecordKind::commit, commitment(9)), ErrorCode::stale)
      << "another commitment in the same slot";
  commit({1, 2});
  reveal({0});
  EXPECT_EQ(refusal(worker(0), RecordKind::reveal, revelation()), ErrorCode::stale);
}

TEST_F(RoundTest, ACopiedCommitmentIsRefused) {
  start();
  commit({0});
  EXPECT_EQ(refusal(worker(1), RecordKind::commit, commitment(0)), ErrorCode::invalid_argument);
  EXPECT_THAT(refused_because_, HasSubstr("another worker has this commitment"));
}

TEST_F(RoundTest, AcceptanceNeedsAKeyThatCanBeSealedTo) {
  submit(small_spec());
  enrol_all();
  open();
  for (const std::uint8_t first : {0, 1}) {
    protocol::Accept accept{slot(), {}};
    accept.round_key.bytes[0] = first;
    EXPECT_EQ(refusal(kHub, RecordKind::accept, accept), ErrorCode::invalid_argument);
  }
  accept();
  EXPECT_EQ(round().members[0].round_key, round_key(kHub));
}

TEST_F(RoundTest, ARevealNeedsACommitmentAndTheRoundsForm) {
  start();
  commit({0, 1});
  pass_deadline();
  EXPECT_EQ(refusal(worker(2), RecordKind::reveal, revelation()), ErrorCode::stale);
  const auto refused = [&](auto change) {
    auto changed = revelation();
    change(changed);
    return refusal(worker(0), RecordKind::reveal, changed);
  };
  using Reveal = protocol::Reveal;
  EXPECT_EQ(refused([](Reveal& r) { r.suite = 0; }), ErrorCode::invalid_argument);
  EXPECT_EQ(refused([](Reveal& r) { r.suite = 2; }), ErrorCode::invalid_argument);
  EXPECT_EQ(refused([](Reveal& r) { r.length = 0; }), ErrorCode::invalid_argument);
  EXPECT_EQ(refused([](Reveal& r) { r.length += 4; }), ErrorCode::invalid_argument);
  EXPECT_EQ(refused([](Reveal& r) { r.length -= 4; }), ErrorCode::invalid_argument);
  EXPECT_EQ(refused([](Reveal& r) { r.keys.clear(); }), ErrorCode::invalid_argument);
  EXPECT_EQ(refused([](Reveal& r) { r.keys.push_back(r.keys[0]); }), ErrorCode::invalid_argument);
  EXPECT_EQ(refused([](Reveal& r) { r.keys[0].member.bytes[0] ^= 1; }),
            ErrorCode::invalid_argument);
  EXPECT_EQ(refused([](Reveal& r) { r.keys[0].box.pop_back(); }), ErrorCode::invalid_argument);
  EXPECT_EQ(refused([](Reveal& r) { r.keys[0].box.push_back(0); }), ErrorCode::invalid_argument);
  EXPECT_TRUE(apply(worker(0), RecordKind::reveal, revelation()).ok());
}

TEST_F(RoundTest, AvailabilityStandsForFinalRevealsOnly) {
  start();
  commit(everybody());
  reveal({0, 1});
  pass_deadline();
  auto wrong = avail();
  wrong.bitmap[0] = 0x07;  // of the worker that did not reveal, too
  EXPECT_EQ(refusal(kHub, RecordKind::avail, wrong), ErrorCode::invalid_argument);
  wrong.bitmap[0] = 0x80;  // of nobody
  EXPECT_EQ(refusal(kHub, RecordKind::avail, wrong), ErrorCode::invalid_argument);
  for (const std::size_t size : {0u, 2u, 100u}) {
    wrong.bitmap.assign(size, 0);
    EXPECT_EQ(refusal(kHub, RecordKind::avail, wrong), ErrorCode::invalid_argument);
  }
  EXPECT_EQ(round().cohort[0].yes + round().cohort[1].yes + round().cohort[2].yes, 0u);
}

TEST_F(RoundTest, AnAttestationIsBoundToTheSet) {
  start();
  commit(everybody());
  reveal(everybody());
  say(kHub, RecordKind::avail, avail());
  auto attest = attestation();
  attest.model_root.bytes[0] ^= 1;
  EXPECT_EQ(refusal(kHub, RecordKind::attest, attest), ErrorCode::invalid_argument);
}

TEST_F(RoundTest, ContributionsAreRecordedAsTheyWere) {
  auto spec = small_spec();
  spec.federation.min_updates = 1;
  start(spec);
  commit({0, 1});
  pass_deadline();
  reveal({0, 1});
  say(kHub, RecordKind::avail, avail({1}));
  say(kHub, RecordKind::attest, attestation());
  const auto entry = [&](std::size_t index) {
    return load<protocol::Contribution>(
        state_, protocol::contribution_key(job_, RoundNumber{1}, id_of(worker(index))));
  };
  EXPECT_TRUE(entry(0)->in_set);
  EXPECT_TRUE(entry(1)->revealed);
  EXPECT_FALSE(entry(1)->in_set);
  EXPECT_FALSE(entry(2).has_value()) << "it committed to nothing";
}

class FourAggregators : public MachineTest {
 protected:
  FourAggregators() : MachineTest(3, 5) {}
  static protocol::JobSpec spec() {
    auto out = small_spec();
    out.aggregation.aggregators = 4;
    return out;
  }
  std::uint8_t number_of(const NodeId& node) const {
    for (std::size_t i = 0; i < 5; ++i)
      if (id_of(aggregator(i)) == node) return aggregator(i);
    ADD_FAILURE() << "not an aggregator";
    return 0;
  }
  // Until the round is in its checking phase.
  void check() {
    submit(spec());
    enrol_all();
    open();
    for (const auto& member : round().members)
      EXPECT_TRUE(apply(number_of(member.member), RecordKind::accept, acceptance()).ok());
    end_block();
    commit(everybody());
    reveal(everybody());
    for (const auto& member : round().members) members_.push_back(number_of(member.member));
  }
  std::vector<std::uint8_t> members_;
};

TEST_F(FourAggregators, ASilentMemberIsReplacedByTheNextRank) {
  submit(spec());
  enrol_all();
  open();
  const auto opened = round();
  ASSERT_EQ(opened.members.size(), 4u);
  ASSERT_EQ(opened.replacements.size(), 1u);
  for (std::size_t i = 0; i < 3; ++i)
    EXPECT_TRUE(apply(number_of(opened.members[i].member), RecordKind::accept, acceptance()).ok());
  EXPECT_EQ(refusal(number_of(opened.replacements[0]), RecordKind::accept, acceptance()),
            ErrorCode::unauthenticated)
      << "not its turn yet";
  end_block();
  pass_deadline();
  EXPECT_EQ(round().phase, RoundPhase::accepting);
  EXPECT_EQ(round().members[3].member, opened.replacements[0]);
  EXPECT_THAT(round().replaced, ElementsAre(opened.members[3].member));
  accept(number_of(opened.replacements[0]));
  EXPECT_EQ(round().phase, RoundPhase::committing);
}

TEST_F(FourAggregators, WithoutAReplacementTheRoundIsVoid) {
  submit(spec());
  enrol_all();
  open();
  pass_deadline();
  EXPECT_EQ(round(1, 0).phase, RoundPhase::voided);
  EXPECT_THAT(round(1, 0).reason, HasSubstr("did not accept in time and there is no replacement"));
}

TEST_F(FourAggregators, OneHonestYesSufficesAndOneLiarDecidesNothing) {
  check();
  // f = 1: two yes are needed, so that one of them is honest.
  EXPECT_TRUE(apply(members_[0], RecordKind::avail, avail({0})).ok());
  EXPECT_TRUE(apply(members_[1], RecordKind::avail, avail({0, 1})).ok());
  EXPECT_TRUE(apply(members_[2], RecordKind::avail, avail({0, 1})).ok());
  end_block();
  EXPECT_EQ(round().phase, RoundPhase::checking) << "the fourth may still answer";
  EXPECT_EQ(refusal(members_[0], RecordKind::avail, avail()), ErrorCode::stale) << "twice";
  say(members_[3], RecordKind::avail, avail());
  // Worker 0 has one yes, worker 1 two, worker 2 four.
  EXPECT_EQ(round().phase, RoundPhase::aggregating);
  for (const auto& slot : round().cohort) EXPECT_EQ(slot.in_set, slot.worker != id_of(worker(0)));
}

TEST_F(FourAggregators, AQuorumFreezesAtTheDeadline) {
  check();
  for (std::size_t i = 0; i < 3; ++i)
    EXPECT_TRUE(apply(members_[i], RecordKind::avail, avail()).ok());
  end_block();
  EXPECT_EQ(round().phase, RoundPhase::checking);
  pass_deadline();
  EXPECT_EQ(round().phase, RoundPhase::aggregating);
}

TEST_F(FourAggregators, OnlyAQuorumOfEqualAttestationsEndsTheRound) {
  check();
  for (const std::uint8_t member : members_)
    EXPECT_TRUE(apply(member, RecordKind::avail, avail()).ok());
  end_block();
  say(members_[0], RecordKind::attest, attestation("a"));
  say(members_[1], RecordKind::attest, attestation("liar's"));
  EXPECT_EQ(refusal(members_[1], RecordKind::attest, attestation("a")), ErrorCode::stale);
  say(members_[2], RecordKind::attest, attestation("a"));
  EXPECT_EQ(round().phase, RoundPhase::aggregating);
  say(members_[3], RecordKind::attest, attestation("a"));
  EXPECT_EQ(round(1).phase, RoundPhase::finished);
  EXPECT_EQ(round(1).attestations, 3u);
  EXPECT_EQ(job().model_root, crypto::blake2b(as_bytes("a")));
  EXPECT_LT(conduct(members_[1]), kConductListed) << "it attested something else";
  EXPECT_GT(conduct(members_[0]), kConductListed);
}

class ScoringTest : public MachineTest {
 protected:
  void score_phase() {
    submit(evaluated_spec());
    enrol_all();
    play_round();
    ASSERT_EQ(round().phase, RoundPhase::scoring);
    ASSERT_EQ(round().validators.size(), 3u);
  }
  protocol::ScoreCommit promise(std::size_t index, const Score& score) const {
    return {slot(),
            protocol::score_commitment(chain_, job_, slot(), id_of(worker(index)), score, salt_)};
  }
  protocol::ScoreReveal unveil(const Score& score) const { return {slot(), score, salt_}; }
  std::array<std::uint8_t, 32> salt_{5};
  const Score a_{100, 60, 100}, b_{300, 70, 100}, c_{200, 90, 100};
};

TEST_F(ScoringTest, TheMedianOfTheValidatorsCounts) {
  score_phase();
  say(worker(0), RecordKind::score_commit, promise(0, a_));
  say(worker(1), RecordKind::score_commit, promise(1, b_));
  say(worker(2), RecordKind::score_commit, promise(2, c_));
  EXPECT_EQ(round().phase, RoundPhase::unveiling);
  say(worker(0), RecordKind::score_reveal, unveil(a_));
  say(worker(1), RecordKind::score_reveal, unveil(b_));
  say(worker(2), RecordKind::score_reveal, unveil(c_));
  EXPECT_EQ(round(1).phase, RoundPhase::finished);
  EXPECT_EQ(round(1).validation, (Score{200, 70, 100}));
  EXPECT_EQ(job().validation, round(1).validation);
}

TEST_F(ScoringTest, AScoreOpensItsCommitmentAndIsInRange) {
  score_phase();
  EXPECT_EQ(refusal(kHub, RecordKind::score_commit, promise(0, a_)), ErrorCode::unauthenticated);
  say(worker(0), RecordKind::score_commit, promise(0, a_));
  EXPECT_EQ(refusal(worker(0), RecordKind::score_commit, promise(0, b_)), ErrorCode::stale);
  say(worker(1), RecordKind::score_commit, promise(0, a_));  // copied from worker 0
  pass_deadline();
  EXPECT_EQ(round().phase, RoundPhase::unveiling);
  EXPECT_EQ(refusal(worker(0), RecordKind::score_reveal, unveil(b_)), ErrorCode::invalid_argument);
  auto salted = unveil(a_);
  salted.salt[0] ^= 1;
  EXPECT_EQ(refusal(worker(0), RecordKind::score_reveal, salted), ErrorCode::invalid_argument);
  EXPECT_EQ(refusal(worker(1), RecordKind::score_reveal, unveil(a_)), ErrorCode::invalid_argument)
      << "a copied commitment opens for its author only";
  EXPECT_EQ(refusal(worker(2), RecordKind::score_reveal, unveil(a_)), ErrorCode::stale)
      << "it committed to nothing";
  for (const Score& bad : {Score{-1, 1, 2}, Score{1, 3, 2}, Score{1, 0, 0}})
    EXPECT_EQ(refusal(worker(0), RecordKind::score_reveal, unveil(bad)),
              ErrorCode::invalid_argument);
  say(worker(0), RecordKind::score_reveal, unveil(a_));
  EXPECT_EQ(refusal(worker(0), RecordKind::score_reveal, unveil(a_)), ErrorCode::stale) << "twice";
  pass_deadline();
  EXPECT_EQ(round(1).validation, a_) << "those that came count";
}

TEST_F(ScoringTest, NoScoreAtAllStillFinishesTheRound) {
  score_phase();
  pass_deadline();
  EXPECT_EQ(round(1).phase, RoundPhase::finished);
  EXPECT_FALSE(round(1).validation.has_value());
}

TEST(MedianTest, IsTheLowerOneOfEveryField) {
  EXPECT_EQ(median({{5, 1, 9}}), (Score{5, 1, 9}));
  EXPECT_EQ(median({{5, 1, 9}, {4, 2, 9}}), (Score{4, 1, 9}));
  EXPECT_EQ(median({{3, 3, 9}, {1, 9, 9}, {2, 6, 9}, {7, 7, 9}}), (Score{2, 6, 9}));
}

}  // namespace
}  // namespace fedmesh::rounds
