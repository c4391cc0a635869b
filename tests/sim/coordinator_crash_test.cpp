// The coordinator dies in every phase, with whatever was not flushed, and comes back: nothing that
// was final is lost, nothing counts twice, and what S gives stays what S gives.
#include "tests/sim/sim_fixture.h"

namespace fedmesh::sim {
namespace {

using protocol::JobPhase;
using protocol::RoundPhase;

// Where the job is: its phase, while a round is open the round's.
std::string place_of(const Federation& federation, const JobId& id) {
  if (!federation.running() || !federation.chain().state().contains(protocol::job_key(id)))
    return "";
  const auto job = federation.job(id);
  if (job.phase != JobPhase::running) return protocol::to_string(job.phase);
  const auto round = open_round(federation, id);
  return round ? protocol::to_string(round->phase) : "";
}

std::vector<std::string> places() {
  std::vector<std::string> out{protocol::to_string(JobPhase::enrolling)};
  for (int i = 1; is_known(static_cast<RoundPhase>(i)); ++i)
    // The coordinator accepts in the step that opens the round: nothing happens between the two
    // here. The real process is killed there by tests/e2e.
    if (!is_over(static_cast<RoundPhase>(i)) && static_cast<RoundPhase>(i) != RoundPhase::accepting)
      out.push_back(protocol::to_string(static_cast<RoundPhase>(i)));
  return out;
}

struct Outcome {
  Digest model;
  std::size_t rounds = 0;
  std::size_t counted = 0;
};

Outcome outcome_of(const Federation& federation, const JobId& id) {
  Outcome out;
  const auto job = federation.job(id);
  EXPECT_EQ(job.phase, JobPhase::finished) << job.reason;
  out.model = job.model_root;
  for (const auto& round : federation.rounds(id)) {
    EXPECT_EQ(round.phase, RoundPhase::finished) << round.reason;
    ++out.rounds;
    for (const auto& slot : round.cohort) out.counted += slot.in_set ? 1 : 0;
  }
  return out;
}

FederationOptions slow_links(std::uint64_t seed) {
  auto options = clinics(seed);
  options.links.latency_min = Duration(2);  // so that a phase lasts
  options.links.latency_max = Duration(9);
  options.compute_duration = Duration(5);
  return options;
}

// Runs `job`, and crashes the coordinator `delay` after it is at `place` for the first time in a
// round of number `round` or later.
Outcome run_with_crash(const SimJob& job, std::uint64_t seed, const std::string& place,
                       Duration delay) {
  Watched sim(slow_links(seed));
  Federation& federation = sim.federation;
  World& world = federation.world();
  const JobId id = federation.submit(job.spec, job.evaluation);
  if (!place.empty()) {
    const bool reached = world.run_until([&] { return place_of(federation, id) == place; },
                                         std::chrono::minutes(10));
    EXPECT_TRUE(reached) << place << " is never reached";
    const NodeId coordinator = federation.coordinator_id();
    world.after(delay, [&world, coordinator] { world.crash(coordinator); });
    world.after(delay + Duration(1500), [&world, coordinator] { world.restart(coordinator); });
    EXPECT_TRUE(world.run_until([&] { return !federation.running(); }, std::chrono::minutes(1)));
    EXPECT_TRUE(world.run_until([&] { return federation.running(); }, std::chrono::minutes(1)));
  }
  EXPECT_TRUE(federation.run(id));
  return outcome_of(federation, id);
}

class CoordinatorCrashTest : public testing::TestWithParam<std::string> {};

TEST_P(CoordinatorCrashTest, WithoutNoiseTheModelIsTheSameBitForBit) {
  const auto job = plain_job(2);
  static const Outcome undisturbed = run_with_crash(job, 41, "", Duration(0));
  for (const int delay : {0, 3, 8}) {
    SCOPED_TRACE(GetParam() + " + " + std::to_string(delay) + " ms");
    const Outcome crashed = run_with_crash(job, 41, GetParam(), Duration(delay));
    EXPECT_EQ(crashed.model, undisturbed.model);
    EXPECT_EQ(crashed.rounds, undisturbed.rounds);
    EXPECT_EQ(crashed.counted, undisturbed.counted);
  }
}

// The invariants recompute every aggregate, noise included, from its reveal set.
TEST_P(CoordinatorCrashTest, WithNoiseTheModelIsThatOfTheFrozenSet) {
  const auto job = clinics_job(1);
  for (const int delay : {0, 6}) {
    SCOPED_TRACE(GetParam() + " + " + std::to_string(delay) + " ms");
    const Outcome crashed = run_with_crash(job, 42, GetParam(), Duration(delay));
    EXPECT_EQ(crashed.rounds, 2u);  // standardisation and one round
    EXPECT_EQ(crashed.counted, 10u);
  }
}

INSTANTIATE_TEST_SUITE_P(Phases, CoordinatorCrashTest, testing::ValuesIn(places()),
                         [](const auto& place) {
                           std::string name = place.param;
                           std::replace(name.begin(), name.end(), ' ', '_');
                           return name;
                         });

TEST(CoordinatorCrashTest, ManyCrashesAtRandomLoseNothing) {
  for (std::uint64_t seed = 51; seed <= 54; ++seed) {
    Watched sim(slow_links(seed));
    Federation& federation = sim.federation;
    World& world = federation.world();
    const NodeId coordinator = federation.coordinator_id();
    SeededRandom random(seed);
    Duration at(2000);
    for (int i = 0; i < 12; ++i) {
      at += Duration(static_cast<std::int64_t>(1200 + random.below(2500)));
      world.after(at, [&world, coordinator] {
        if (world.alive(coordinator)) world.crash(coordinator);
      });
      world.after(at + Duration(400), [&world, coordinator] {
        if (!world.alive(coordinator)) world.restart(coordinator);
      });
    }
    const auto job = clinics_job(3);
    const JobId id = federation.submit(job.spec, job.evaluation);
    ASSERT_TRUE(world.run_until(
        [&] {
          if (!federation.running()) return false;
          const auto jobs = jobs_in(federation.chain().state());
          return !jobs.empty() && protocol::is_terminal(jobs.front().phase);
        },
        std::chrono::hours(1)));
    EXPECT_EQ(federation.job(id).phase, JobPhase::finished) << federation.job(id).reason;
  }
}

}  // namespace
}  // namespace fedmesh::sim
