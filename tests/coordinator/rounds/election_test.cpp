// Draws, committees and conduct.
#include "coordinator/rounds/election.h"

#include <map>

#include "coordinator/rounds/draw.h"
#include "tests/coordinator/rounds/machine_fixture.h"

namespace fedmesh::rounds {
namespace {

using ledger::RecordKind;
using protocol::JobPhase;

Digest beacon_of(std::uint64_t number) {
  Bytes bytes(8);
  store_le64(bytes, number);
  return crypto::blake2b(bytes);
}

NodeId node(std::uint8_t first) { return NodeId{{first}}; }

TEST(DrawTest, IsAFunctionOfBeaconPurposeAndCandidatesInAnyOrder) {
  const std::vector<Candidate> candidates{{node(1), 5}, {node(2), 3}, {node(3), 9}};
  const std::vector<Candidate> shuffled{{node(3), 9}, {node(1), 5}, {node(2), 3}};
  std::size_t differs = 0;
  for (std::uint64_t i = 0; i < 50; ++i) {
    const auto order = draw_order(beacon_of(i), "cohort", candidates);
    EXPECT_EQ(order, draw_order(beacon_of(i), "cohort", shuffled));
    if (order != draw_order(beacon_of(i), "aggregators", candidates)) ++differs;
  }
  EXPECT_GT(differs, 10u) << "purposes are drawn apart";
}

TEST(DrawTest, HoldsEverybodyOnceAndTheWeightlessLastInIdOrder) {
  const auto order =
      draw_order(beacon_of(1), "x", {{node(4), 0}, {node(9), 7}, {node(2), 0}, {node(5), 1}});
  ASSERT_EQ(order.size(), 4u);
  EXPECT_EQ(order[2], node(2));
  EXPECT_EQ(order[3], node(4));
  EXPECT_TRUE(draw_order(beacon_of(1), "x", {}).empty());
}

// Who comes first in 20,000 draws, weights 1 : 2 : 5. Chi-square with two degrees of freedom stays
// below 18.4 in 99.99 % of all seeds; this one is fixed. The same for the second place given the
// first, whose expectation is that of a draw without replacement.
TEST(DrawTest, FollowsTheWeights) {
  const std::vector<Candidate> candidates{{node(1), 1}, {node(2), 2}, {node(3), 5}};
  constexpr int kDraws = 20'000;
  std::map<NodeId, double> first, second;
  for (int i = 0; i < kDraws; ++i) {
    const auto order = draw_order(beacon_of(static_cast<std::uint64_t>(i)), "cohort", candidates);
    ++first[order[0]];
    ++second[order[1]];
  }
  double chi_first = 0, chi_second = 0;
  for (const auto& candidate : candidates) {
    const auto weight = static_cast<double>(candidate.weight);
    const double expected = kDraws * weight / 8;
    chi_first += (first[candidate.node] - expected) * (first[candidate.node] - expected) / expected;
    double share = 0;
    for (const auto& before : candidates) {
      const auto taken = static_cast<double>(before.weight);
      if (before.node != candidate.node) share += taken / 8 * weight / (8 - taken);
    }
    const double expected_second = kDraws * share;
    const double miss = second[candidate.node] - expected_second;
    chi_second += miss * miss / expected_second;
  }
  EXPECT_LT(chi_first, 18.4);
  EXPECT_LT(chi_second, 18.4);
}

class ElectionTest : public MachineTest {
 protected:
  ElectionTest() : MachineTest(4, 5) { submit(spec(1)); }
  static protocol::JobSpec spec(std::uint32_t aggregators) {
    auto out = small_spec();
    out.aggregation.aggregators = aggregators;
    return out;
  }
  template <class Change>
  void change_node(std::uint8_t number, Change change) {
    auto changed = *node_state(state_, id_of(number));
    change(changed);
    store(state_, protocol::node_key(id_of(number)), changed);
  }
  void set_all_conduct(std::int64_t micro) {
    for (std::size_t i = 0; i < 5; ++i)
      change_node(aggregator(i), [&](auto& n) { n.conduct_micro = micro; });
  }
  std::optional<Committee> elect(const protocol::JobSpec& of, std::uint64_t beacon = 1) {
    return elect_committee(state_, job(), of, beacon_of(beacon));
  }
};

TEST_F(ElectionTest, ACommitteeHas1Or4Or7MembersOrTheLargestPossible) {
  EXPECT_EQ(elect(spec(1))->members.size(), 1u);
  EXPECT_EQ(elect(spec(1))->replacements.size(), 4u);
  EXPECT_EQ(elect(spec(4))->members.size(), 4u);
  EXPECT_EQ(elect(spec(4))->replacements.size(), 1u);
  EXPECT_EQ(elect(spec(7))->members.size(), 4u) << "five are listed";
  EXPECT_EQ(elect(spec(7))->tier, 0u);
}

TEST_F(ElectionTest, LowConductIsElectedOnlyWhereNobodyElseIs) {
  set_all_conduct(kConductElectable - 1);
  change_node(aggregator(3), [](auto& n) { n.conduct_micro = kConductElectable; });
  EXPECT_EQ(elect(spec(4))->members, std::vector<NodeId>{id_of(aggregator(3))});
  EXPECT_EQ(elect(spec(4))->tier, 0u);
  set_all_conduct(0);
  EXPECT_EQ(elect(spec(4))->members.size(), 4u);
  EXPECT_EQ(elect(spec(4))->tier, 2u);
}

TEST_F(ElectionTest, TheTermLimitBindsRank0Only) {
  change_node(aggregator(0), [](auto& n) {
    n.conduct_micro = 1'000'000;
    n.consecutive_terms = 2;
  });
  bool still_a_member = false;
  for (std::uint64_t beacon = 0; beacon < 50; ++beacon) {
    const auto committee = *elect(spec(4), beacon);
    EXPECT_NE(committee.members.front(), id_of(aggregator(0)));
    EXPECT_EQ(committee.tier, 0u);
    still_a_member |= std::find(committee.members.begin(), committee.members.end(),
                                id_of(aggregator(0))) != committee.members.end();
  }
  EXPECT_TRUE(still_a_member);
  for (std::size_t i = 0; i < 5; ++i)
    change_node(aggregator(i), [](auto& n) { n.consecutive_terms = 2; });
  EXPECT_EQ(elect(spec(4))->tier, 1u) << "nobody is rested: without the limit";
}

TEST_F(ElectionTest, TheOwnerIsExcludedUnlessTheJobAllowsIt) {
  for (std::size_t i = 0; i < 5; ++i)
    change_node(aggregator(i), [](auto& n) { n.roles &= ~protocol::kRoleAggregator; });
  EXPECT_EQ(elect(spec(1)), std::nullopt);
  change_node(kOwner, [](auto& n) { n.roles |= protocol::kRoleAggregator; });
  EXPECT_EQ(elect(spec(1)), std::nullopt);
  auto allowing = spec(1);
  allowing.federation.allow_owner = true;
  ASSERT_TRUE(elect(allowing).has_value());
  EXPECT_EQ(elect(allowing)->members, std::vector<NodeId>{id_of(kOwner)});
  EXPECT_EQ(elect(allowing)->tier, 3u);
}

TEST_F(ElectionTest, WithoutAggregatorsTheJobWaitsAndResumes) {
  for (std::size_t i = 0; i < 5; ++i)
    change_node(aggregator(i), [](auto& n) { n.roles &= ~protocol::kRoleAggregator; });
  enrol_all();
  open();
  EXPECT_EQ(job().phase, JobPhase::waiting_for_aggregators);
  EXPECT_THAT(job().reason, testing::HasSubstr("aggregator"));
  EXPECT_EQ(with_reserved(), 0) << "nothing is reserved for a round that is not open";
  say(kOperator, RecordKind::admit,
      protocol::Admit{test_key(kStranger).public_key(), protocol::kRoleAggregator, "late"});
  EXPECT_EQ(job().phase, JobPhase::drawing);
  open();
  EXPECT_EQ(job().phase, JobPhase::running);
  EXPECT_EQ(round().committee_tier, 2u) << "newly admitted: any reputation";
}

TEST_F(ElectionTest, TheCohortIsBoundedSortedAndAdmitted) {
  enrol_all();
  auto two = spec(1);
  two.federation.max_participants = 2;
  std::map<NodeId, int> times;
  for (std::uint64_t beacon = 0; beacon < 100; ++beacon) {
    const auto cohort = draw_cohort(state_, job(), two, beacon_of(beacon));
    ASSERT_EQ(cohort.size(), 2u);
    EXPECT_LT(cohort[0].worker, cohort[1].worker);
    for (const auto& slot : cohort) ++times[slot.worker];
  }
  EXPECT_EQ(times.size(), 4u) << "everybody's turn comes";
  change_node(worker(0), [](auto& n) { n.roles = 0; });
  EXPECT_EQ(draw_cohort(state_, job(), spec(1), beacon_of(1)).size(), 3u);
}

TEST(ConductTest, IsAMovingAverageInIntegers) {
  EXPECT_EQ(conduct_after(500'000, true), 525'000);
  EXPECT_EQ(conduct_after(500'000, false), 475'000);
  std::int64_t conduct = kConductAdmitted;
  int duties = 0;
  for (; conduct < kConductElectable; ++duties) conduct = conduct_after(conduct, true);
  EXPECT_EQ(duties, 12) << "log(0.5 / 0.9) / log(0.95)";
  for (int i = 0; i < 1000; ++i) conduct = conduct_after(conduct, true);
  EXPECT_LE(conduct, 1'000'000);
  for (int i = 0; i < 1000; ++i) conduct = conduct_after(conduct, false);
  EXPECT_GE(conduct, 0);
}

class SettleTest : public MachineTest {
 protected:
  SettleTest() : MachineTest(5) {}
};

TEST_F(SettleTest, WhoMissesWhileMostRevealIsCharged) {
  start();
  commit({0, 1, 2});
  pass_deadline();
  reveal({0, 1, 2});  // exactly 60 %
  say(kHub, RecordKind::avail, avail());
  say(kHub, RecordKind::attest, attestation());
  EXPECT_EQ(conduct(worker(0)), 525'000);
  EXPECT_EQ(conduct(worker(4)), 475'000);
  EXPECT_EQ(conduct(kHub), 525'000);
}

TEST_F(SettleTest, BelowSixtyPercentItIsAnIncidentOfTheNetwork) {
  start();
  commit({0, 1});
  pass_deadline();
  reveal({0, 1});
  say(kHub, RecordKind::avail, avail());
  say(kHub, RecordKind::attest, attestation());
  EXPECT_EQ(conduct(worker(0)), 525'000);
  EXPECT_EQ(conduct(worker(4)), kConductListed);
}

// A round that is void says something against those alone that missed the duty of its last phase.
TEST_F(SettleTest, AVoidRoundChargesThoseWhoMissed) {
  start();
  pass_deadline();  // nobody commits
  EXPECT_EQ(conduct(kHub), kConductListed);
  EXPECT_EQ(conduct(worker(0)), kConductListed);
  open();
  accept();
  commit(everybody());
  reveal(everybody());
  const auto before = conduct(worker(0));
  pass_deadline();  // the aggregator does not check
  EXPECT_EQ(conduct(kHub), 475'000);
  EXPECT_GE(conduct(worker(0)), before);
}

TEST_F(SettleTest, TermsAreCountedAndEndWithAnotherLeader) {
  submit(small_spec());
  enrol_all();
  play_round();
  EXPECT_EQ(node_state(state_, id_of(kHub))->consecutive_terms, 1u);
  play_round();
  EXPECT_EQ(node_state(state_, id_of(kHub))->consecutive_terms, 2u);
}

}  // namespace
}  // namespace fedmesh::rounds
