// The coordinator's clock lies, from the start or since a restart in the middle of a round: by an
// hour or a year, ahead or behind. Deadlines are the ledger's and still end what somebody silent
// holds up; no worker loses what it has computed more than the one round the jump may cost.
#include "tests/sim/sim_fixture.h"

namespace fedmesh::sim {
namespace {

using protocol::JobPhase;
using protocol::RoundPhase;

struct Lie {
  const char* name;
  Duration error;
};

class LyingClock : public testing::TestWithParam<Lie> {
 protected:
  // One of five workers is cut off once it is enrolled: every round waits for it until a deadline.
  void enrol_and_silence_one() {
    id_ = sim_->federation.submit(job_.spec, job_.evaluation);
    ASSERT_TRUE(reach(1, RoundPhase::committing));
    world().cut(sim_->federation.worker_id(4));
  }
  bool reach(std::uint32_t round, RoundPhase phase) {
    return world().run_until(
        [&] {
          if (!sim_->federation.running()) return false;
          const auto open = open_round(sim_->federation, id_);
          return open && open->slot.round.value == round && open->phase == phase;
        },
        std::chrono::minutes(10));
  }
  void restart_with(Duration error) {
    const NodeId coordinator = sim_->federation.coordinator_id();
    world().crash(coordinator);
    sim_->federation.set_coordinator_clock_error(error);
    world().restart(coordinator);
  }
  // In the time that the deadlines of a silent worker take, whatever the clock says.
  void expect_the_job_finishes(std::uint32_t void_rounds_max) {
    ASSERT_TRUE(sim_->federation.run(id_, std::chrono::minutes(10)))
        << to_string(sim_->federation.job(id_).phase) << " for ten minutes";
    const auto state = sim_->federation.job(id_);
    EXPECT_EQ(state.phase, JobPhase::finished) << state.reason;
    EXPECT_EQ(state.rounds_done, 3u);
    std::uint32_t voided = 0;
    for (const auto& round : sim_->federation.rounds(id_)) {
      if (round.phase == RoundPhase::voided) ++voided;
      if (round.phase != RoundPhase::finished) continue;
      for (std::size_t i = 0; i < 4; ++i)
        EXPECT_TRUE(std::any_of(round.cohort.begin(), round.cohort.end(),
                                [&](const auto& slot) {
                                  return slot.worker == sim_->federation.worker_id(i) &&
                                         slot.in_set;
                                }))
            << "worker " << i << " lost round " << round.slot.round.value;
    }
    EXPECT_LE(voided, void_rounds_max);
  }
  World& world() { return sim_->federation.world(); }

  SimJob job_ = plain_job(3);
  std::optional<Watched> sim_;
  JobId id_;
};

TEST_P(LyingClock, FromTheStartChangesNothing) {
  auto options = clinics(71);
  options.coordinator_clock_error = GetParam().error;
  sim_.emplace(std::move(options));
  ASSERT_NO_FATAL_FAILURE(enrol_and_silence_one());
  expect_the_job_finishes(0);
}

// A jump ahead makes every deadline due at once: the round that is open may be lost, no other.
TEST_P(LyingClock, SinceARestartInTheMiddleOfARoundCostsAtMostThatRound) {
  for (const auto phase : {RoundPhase::committing, RoundPhase::revealing, RoundPhase::scoring}) {
    SCOPED_TRACE(protocol::to_string(phase));
    sim_.emplace(clinics(72));
    ASSERT_NO_FATAL_FAILURE(enrol_and_silence_one());
    ASSERT_TRUE(reach(2, phase));
    restart_with(GetParam().error);
    expect_the_job_finishes(1);
  }
}

// ... and a clock that is put right afterwards leaves a ledger whose time is ahead of it.
TEST_P(LyingClock, PutRightAgainCostsAtMostTheRoundsThatWereOpen) {
  sim_.emplace(clinics(73));
  ASSERT_NO_FATAL_FAILURE(enrol_and_silence_one());
  ASSERT_TRUE(reach(2, RoundPhase::revealing));
  restart_with(GetParam().error);
  ASSERT_TRUE(reach(3, RoundPhase::committing));
  restart_with(Duration(0));
  expect_the_job_finishes(2);
}

INSTANTIATE_TEST_SUITE_P(Lies, LyingClock,
                         testing::Values(Lie{"AnHourAhead", std::chrono::hours(1)},
                                         Lie{"AnHourBehind", -std::chrono::hours(1)},
                                         Lie{"AYearAhead", std::chrono::hours(24 * 365)},
                                         Lie{"AYearBehind", -std::chrono::hours(24 * 365)}),
                         [](const auto& lie) { return std::string(lie.param.name); });

}  // namespace
}  // namespace fedmesh::sim
