// Local training of the built-in architectures with LibTorch, which stays behind this header.
#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <vector>

#include "base/result.h"
#include "models/data/architecture.h"
#include "models/data/dataset.h"
#include "models/data/training_options.h"

namespace fedmesh::models {

struct TrainOutcome {
  std::vector<float> parameters;  // in layout order, all finite
  double mean_loss = 0;           // over the examples of the last local epoch, as they were seen
  std::uint64_t steps = 0;
};

// Called after every step with the steps done and the steps in all.
using StepCallback = std::function<void(std::uint64_t done, std::uint64_t total)>;

// invalid_argument names the option that is out of range and what is allowed.
Result<void> check_options(const TrainingOptions& options);

// Minibatch training on the mean log loss, every epoch in an order drawn from SeededRandom(seed);
// the last batch of an epoch may be smaller. SGD with momentum and Adam (Kingma & Ba 2015; beta
// 0.9, 0.999, epsilon 1e-8) step as PyTorch's do, weight decay being L2 in both; proximal_mu adds
// FedProx's mu/2 ‖w − base‖² (Li et al. 2020). At one thread the result is bit-identical from run
// to run on the same processor. `device`: cpu, cuda or auto.
// invalid_argument: options, sizes, values that are not finite, or training diverged (says when).
// unavailable: the device is not there, or LibTorch failed.
Result<TrainOutcome> train(const Architecture& architecture, std::span<const float> parameters,
                           const Dataset& data, const TrainingOptions& options, std::uint64_t seed,
                           const std::string& device = "cpu", const StepCallback& on_step = {});

}  // namespace fedmesh::models
