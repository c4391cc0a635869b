// Every place at which the programs can be made to die as if by kill -9 (base/crash_point.h). The
// phases come from the protocol's own enumerations: a new phase or trainer task has its points here
// at once, and the test fails that never sees a process die there.
#pragma once

#include <string>
#include <vector>

namespace fedmesh::e2e {

enum class Victim { coordinator, worker, trainer };

// What must be going on for the point to be passed.
enum class Scenario {
  plain,          // two rounds without noise, scored by both workers
  too_few,        // the job waits for workers at first
  no_aggregator,  // the job waits for an aggregator at first
  noisy           // records are protected, standardisation is a query
};
inline constexpr Scenario kScenarios[] = {Scenario::plain, Scenario::too_few,
                                          Scenario::no_aggregator, Scenario::noisy};
const char* to_string(Scenario scenario);

struct CrashPoint {
  std::string name;
  Victim victim;
  Scenario scenario;
};

// Of jobs that are live and rounds that are open, as Coordinator::phases() names them.
std::vector<std::string> live_phases();
std::vector<CrashPoint> crash_points();

}  // namespace fedmesh::e2e
