#include "tests/e2e/crash/crash_points.h"

#include "base/check.h"
#include "coordinator/protocol/state.h"
#include "worker/trainer/task.h"

namespace fedmesh::e2e {
namespace {

using protocol::JobPhase;
using protocol::RoundPhase;
using trainer::TaskKind;

template <class Enumeration>
std::vector<Enumeration> known() {
  std::vector<Enumeration> out;
  for (int value = 0; value < 256; ++value)
    if (const auto one = static_cast<Enumeration>(value); is_known(one)) out.push_back(one);
  return out;
}

Scenario scenario_of(const std::string& phase) {
  if (phase == to_string(JobPhase::waiting_for_workers)) return Scenario::too_few;
  if (phase == to_string(JobPhase::waiting_for_aggregators)) return Scenario::no_aggregator;
  return Scenario::plain;
}

Scenario scenario_of(TaskKind kind) {
  switch (kind) {
    case TaskKind::describe:
    case TaskKind::train:
    case TaskKind::evaluate:
      return Scenario::plain;
    case TaskKind::statistics:
    case TaskKind::gradient:
      return Scenario::noisy;
  }
  FM_CHECK(false, "a trainer task without a scenario");
}

}  // namespace

const char* to_string(Scenario scenario) {
  switch (scenario) {
    case Scenario::plain:
      return "plain";
    case Scenario::too_few:
      return "too few workers";
    case Scenario::no_aggregator:
      return "no aggregator";
    case Scenario::noisy:
      return "noisy";
  }
  FM_CHECK(false, "a scenario without a name");
}

std::vector<std::string> live_phases() {
  std::vector<std::string> out;
  for (const JobPhase phase : known<JobPhase>())
    if (!is_terminal(phase) && phase != JobPhase::running) out.emplace_back(to_string(phase));
  for (const RoundPhase phase : known<RoundPhase>())  // what running consists of
    if (!is_over(phase)) out.emplace_back(to_string(phase));
  return out;
}

std::vector<CrashPoint> crash_points() {
  std::vector<CrashPoint> out;
  const auto add = [&](const std::string& name, Scenario scenario) {
    const Victim victim = name.starts_with("coordinator.") ? Victim::coordinator
                          : name.starts_with("worker.")    ? Victim::worker
                                                           : Victim::trainer;
    out.push_back({name, victim, scenario});
  };
  for (const auto& phase : live_phases()) {
    for (const char* place : {"coordinator.before-block.", "coordinator.after-block.",
                              "worker.before-effects.", "worker.after-effects."})
      add(place + phase, scenario_of(phase));
  }
  for (const char* name :
       {"coordinator.persisted-item", "coordinator.blob-arrived", "coordinator.compute-check",
        "coordinator.computed-check", "coordinator.compute-aggregate",
        "coordinator.computed-aggregate", "coordinator.dropped-update", "coordinator.erased-item",
        "worker.stored-update", "worker.persisted.data", "worker.persisted.head",
        "worker.persisted.opening", "worker.persisted.wanted", "worker.persisted.score",
        "worker.persisted.receipt"})
    add(name, Scenario::plain);
  add("worker.persisted.grants", Scenario::noisy);
  for (const TaskKind kind : known<TaskKind>())
    for (const char* place : {"trainer.received.", "trainer.done."})
      add(std::string(place) + to_string(kind), scenario_of(kind));
  return out;
}

}  // namespace fedmesh::e2e
