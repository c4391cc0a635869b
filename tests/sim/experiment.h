// What a simulated experiment measures: models scored on held-out data, and what the same training
// gives without a federation.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "coordinator/protocol/job_spec.h"
#include "worker/trainer/task_executor.h"

namespace fedmesh::sim {

struct Model {
  Bytes parameters;       // safetensors
  Bytes standardisation;  // safetensors; empty: the job uses no constants
};

struct Score {
  std::uint64_t rows = 0;
  std::uint64_t correct = 0;
  double loss = 0;  // mean
  double accuracy() const { return static_cast<double>(correct) / static_cast<double>(rows); }
};

struct Scores {
  std::vector<Score> sets;  // one per data source, in their order
  Score pooled;             // all rows of all sets
};

// Scores every model on every data source. Errors of the sources.
Result<std::vector<Scores>> score(const protocol::JobSpec& spec, std::span<const Model> models,
                                  std::span<const std::string> data,
                                  trainer::TaskExecutor& executor);

// The job's model, preparation, optimiser, clip and number of rounds on one data set, without
// noise, ledger or network. Standardisation by a query is exact and over this data set alone.
// `seed` is of the order of examples.
Result<Model> train_alone(const protocol::JobSpec& spec, trainer::DataView data, std::uint64_t seed,
                          trainer::TaskExecutor& executor);

struct Baselines {
  std::vector<Model> local;  // one per worker, trained on its own data
  Model pooled;              // trained on the data of all
};
Result<Baselines> train_baselines(const protocol::JobSpec& spec, std::span<const std::string> data,
                                  std::uint64_t seed, trainer::TaskExecutor& executor);

// Over seeds. The deviation is that of a sample (n - 1), 0 for a single value.
struct Spread {
  double mean = 0;
  double deviation = 0;
};
Spread spread(std::span<const double> values);

}  // namespace fedmesh::sim
