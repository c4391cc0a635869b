// The coordinator, a worker and a trainer are killed with -9 at every crash point, one at a time,
// and started again: the job goes on from the round that was open, with nothing lost or counted
// twice.
//
// Points come in pairs, before and after one thing. A run takes one of each pair, of today's
// parity: every phase, duty and kind of process is there each time, and two days see them all.
// FEDMESH_E2E_CRASH=all runs every point, FEDMESH_E2E_CRASH=<name> only that one.
#include <gmock/gmock.h>

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <map>

#include "tests/e2e/crash/rehearsal.h"

namespace fedmesh::e2e {
namespace {

using ::testing::Contains;
using ::testing::SizeIs;

TEST(CrashPoints, EveryLivePhaseAndTrainerTaskHasSome) {
  std::map<std::string, int> points;
  for (const auto& point : crash_points()) ++points[point.name];
  for (const auto& [name, count] : points) EXPECT_EQ(count, 1) << name;
  const auto phases = live_phases();
  EXPECT_THAT(phases, SizeIs(11));
  for (const auto& phase : phases)
    for (const char* place : {"coordinator.before-block.", "coordinator.after-block.",
                              "worker.before-effects.", "worker.after-effects."})
      EXPECT_THAT(points, Contains(::testing::Key(place + phase)));
}

// Of the points in their order, the one at `index`.
bool has_its_turn(const std::string& name, std::size_t index) {
  const char* wanted = std::getenv("FEDMESH_E2E_CRASH");
  if (wanted != nullptr) return std::string(wanted) == "all" || name == wanted;
  const auto now = std::chrono::system_clock::now().time_since_epoch();
  const auto day = std::chrono::duration_cast<std::chrono::hours>(now).count() / 24;
  return (index + static_cast<std::size_t>(day)) % 2 == 0;
}

class Crash : public ::testing::TestWithParam<Scenario> {};

void expect_whole(const Ended& ended, const Ended& reference, Scenario scenario) {
  if (scenario != Scenario::noisy) {  // its noise is drawn anew
    EXPECT_EQ(ended.model, reference.model) << "another model than without a crash";
    EXPECT_EQ(ended.blobs, reference.blobs);
  }
  EXPECT_EQ(ended.blobs.size(), reference.blobs.size());
  const auto& rounds = ended.report.at("rounds");
  ASSERT_EQ(rounds.size(), reference.report.at("rounds").size()) << rounds.dump(1);
  for (const auto& round : rounds) {
    EXPECT_EQ(round.at("attempt"), 0) << "a void round: " << round.dump();
    EXPECT_EQ(round.at("workers"), 2) << round.dump();
    EXPECT_EQ(round.at("note"), "") << round.dump();
  }
  EXPECT_EQ(ended.report.at("privacy").at("epsilon_spent"),
            reference.report.at("privacy").at("epsilon_spent"));
}

TEST_P(Crash, NothingIsLostOrCountedTwice) {
  Rehearsal rehearsal(GetParam());
  ASSERT_NO_FATAL_FAILURE(rehearsal.prepare());
  Ended reference;
  ASSERT_NO_FATAL_FAILURE(rehearsal.run(reference));
  const auto points = crash_points();
  for (std::size_t i = 0; i < points.size(); ++i) {
    const CrashPoint& point = points[i];
    if (point.scenario != GetParam() || !has_its_turn(point.name, i)) continue;
    SCOPED_TRACE(point.name);
    const auto began = std::chrono::steady_clock::now();
    Ended ended;
    rehearsal.run(point, ended);
    if (!ended.report.is_null()) expect_whole(ended, reference, GetParam());
    const std::chrono::duration<double> took = std::chrono::steady_clock::now() - began;
    std::printf("%-46s %5.1f s%s\n", point.name.c_str(), took.count(),
                HasFailure() ? "  (failures so far)" : "");
    std::fflush(stdout);
  }
}
INSTANTIATE_TEST_SUITE_P(Scenarios, Crash, ::testing::ValuesIn(kScenarios),
                         [](const auto& scenario) {
                           std::string name = to_string(scenario.param);
                           std::replace(name.begin(), name.end(), ' ', '_');
                           return name;
                         });

}  // namespace
}  // namespace fedmesh::e2e
