// What `fedmesh simulate` prints.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "coordinator/cli/report.h"
#include "tests/sim/experiment.h"

namespace fedmesh::sim {

struct Plan {
  std::vector<std::string> data;  // per worker; {seed} stands for the run's seed
  std::vector<std::string> test;  // held-out data, likewise
  bool baselines = false;
};

struct Outcome {
  std::uint64_t seed = 0;
  bool finished = false;
  cli::JobReport report;
  std::optional<double> validation;  // accuracy that the ledger has, where the job evaluates
  // On Plan::test:
  std::vector<Scores> rounds;  // the released model of every training round that was not void
  std::vector<Scores> local;   // by worker, trained on its own data
  std::optional<Scores> pooled;
};

// One run as a table of its rounds.
std::string text_of(const Outcome& outcome);
// All runs: accuracies as mean and standard deviation over the seeds.
std::string summary_of(const Plan& plan, const std::vector<Outcome>& outcomes);
// One object. `models` holds the same accuracies as the summary:
//   simulated (true), data, test, runs [{seed, report, rounds, local, pooled}], accuracy_mean,
//   accuracy_deviation (on the job's own validation set; null without one),
//   models [{name, sets [{accuracy_mean, accuracy_deviation}], pooled {...}}].
// A run's rounds, local and pooled hold {sets [{rows, correct, accuracy, loss}], pooled {...}}.
std::string json_of(const Plan& plan, const std::vector<Outcome>& outcomes);

}  // namespace fedmesh::sim
