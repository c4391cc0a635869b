#include "models/nets/training.h"

#include <ATen/core/grad_mode.h>
#include <ATen/ops/from_blob.h>
#include <ATen/ops/zeros_like.h>

#include <algorithm>
#include <cmath>
#include <numeric>

#include "base/random.h"
#include "models/kernels/dense.h"
#include "models/nets/network.h"

namespace fedmesh::models {
namespace {

constexpr std::int64_t kNano = 1'000'000'000;

double real(std::int64_t nano) { return static_cast<double>(nano) / static_cast<double>(kNano); }

// One optimiser of one parameter.
class Stepper {
 public:
  Stepper(const TrainingOptions& options, const at::Tensor& parameters)
      : options_(options), learning_rate_(real(options.learning_rate_nano)) {
    if (options.proximal_mu_nano > 0) base_ = parameters.clone();
    if (options.optimizer == Optimizer::adam || options.momentum_nano > 0)
      first_ = at::zeros_like(parameters);
    if (options.optimizer == Optimizer::adam) second_ = at::zeros_like(parameters);
  }

  // Changes `gradient` too.
  void step(at::Tensor& parameters, at::Tensor& gradient) {
    ++steps_;
    if (options_.weight_decay_nano > 0) gradient.add_(parameters, real(options_.weight_decay_nano));
    if (base_.defined()) gradient.add_(parameters.sub(base_), real(options_.proximal_mu_nano));
    switch (options_.optimizer) {
      case Optimizer::sgd:
        return step_sgd(parameters, gradient);
      case Optimizer::adam:
        return step_adam(parameters, gradient);
    }
  }

 private:
  void step_sgd(at::Tensor& parameters, const at::Tensor& gradient) {
    if (first_.defined()) {
      first_.mul_(real(options_.momentum_nano)).add_(gradient);
      parameters.add_(first_, -learning_rate_);
    } else {
      parameters.add_(gradient, -learning_rate_);
    }
  }

  void step_adam(at::Tensor& parameters, const at::Tensor& gradient) {
    constexpr double kBeta1 = 0.9, kBeta2 = 0.999, kEpsilon = 1e-8;
    first_.mul_(kBeta1).add_(gradient, 1 - kBeta1);
    second_.mul_(kBeta2).addcmul_(gradient, gradient, 1 - kBeta2);
    const double correction1 = 1 - std::pow(kBeta1, steps_);
    const double correction2 = 1 - std::pow(kBeta2, steps_);
    const at::Tensor scale = second_.sqrt().div_(std::sqrt(correction2)).add_(kEpsilon);
    parameters.addcdiv_(first_, scale, -learning_rate_ / correction1);
  }

  TrainingOptions options_;
  double learning_rate_;
  double steps_ = 0;
  at::Tensor base_, first_, second_;
};

void shuffle(std::vector<std::int64_t>& order, SeededRandom& random) {
  for (std::size_t i = order.size(); i > 1; --i)
    std::swap(order[i - 1], order[static_cast<std::size_t>(random.below(i))]);
}

Error diverged(std::uint64_t step) {
  return invalid_argument("training diverged at step " + std::to_string(step) +
                          ": the loss or a parameter is not finite; lower the learning rate or "
                          "check the inputs");
}

Result<TrainOutcome> run(Network& net, const Architecture& architecture, const Dataset& data,
                         const TrainingOptions& options, std::uint64_t seed, at::Device device,
                         const StepCallback& on_step) {
  const DeviceData on_device = to_device(data, architecture, device);
  std::vector<at::Tensor>& parameters = net.trainable();
  std::vector<Stepper> steppers;
  {
    at::NoGradGuard no_grad;
    for (const at::Tensor& parameter : parameters) steppers.emplace_back(options, parameter);
  }
  SeededRandom random(seed);
  std::vector<std::int64_t> order(data.rows());
  std::iota(order.begin(), order.end(), 0);
  const auto rows = static_cast<std::int64_t>(data.rows());
  const std::int64_t batch = std::min<std::int64_t>(options.batch_size, rows);
  const auto batches = static_cast<std::uint64_t>((rows + batch - 1) / batch);

  TrainOutcome out;
  for (std::uint32_t epoch = 0; epoch < options.local_epochs; ++epoch) {
    shuffle(order, random);
    const at::Tensor indices = at::from_blob(order.data(), {rows}, at::kLong).to(device);
    double loss_sum = 0;
    for (std::int64_t first = 0; first < rows; first += batch) {
      const std::int64_t size = std::min(batch, rows - first);
      const at::Tensor chosen = indices.narrow(0, first, size);
      const at::Tensor inputs = on_device.inputs.index_select(0, chosen);
      const at::Tensor labels = on_device.labels.index_select(0, chosen);
      const at::Tensor loss = net.mean_loss(net.logits(inputs), labels);
      loss.backward();
      const double value = loss.item<double>();
      if (!std::isfinite(value)) return diverged(out.steps + 1);
      loss_sum += value * static_cast<double>(size);
      {
        // Without a gradient from before, backward() leaves its own here instead of adding to it.
        at::NoGradGuard no_grad;
        for (std::size_t i = 0; i < parameters.size(); ++i) {
          steppers[i].step(parameters[i], parameters[i].mutable_grad());
          parameters[i].mutable_grad().reset();
        }
      }
      ++out.steps;
      if (on_step) on_step(out.steps, batches * options.local_epochs);
    }
    out.mean_loss = loss_sum / static_cast<double>(rows);
  }
  out.parameters = net.parameters();
  if (!std::all_of(out.parameters.begin(), out.parameters.end(),
                   [](float p) { return std::isfinite(p); }))
    return diverged(out.steps);
  return out;
}

}  // namespace

Result<void> check_options(const TrainingOptions& options) {
  if (options.learning_rate_nano < 1 || options.learning_rate_nano > 1000 * kNano)
    return invalid_argument("learning_rate is above 0 and at most 1000");
  if (options.local_epochs < 1 || options.local_epochs > 10'000)
    return invalid_argument("local_epochs is 1 to 10000");
  if (options.batch_size < 1 || options.batch_size > 1'000'000)
    return invalid_argument("batch_size is 1 to 1000000");
  if (!is_known(options.optimizer)) return invalid_argument("optimizer is sgd or adam");
  if (options.momentum_nano < 0 || options.momentum_nano >= kNano)
    return invalid_argument("momentum is at least 0 and below 1");
  if (options.weight_decay_nano < 0 || options.weight_decay_nano > 1000 * kNano)
    return invalid_argument("weight_decay is 0 to 1000");
  if (options.proximal_mu_nano < 0 || options.proximal_mu_nano > 1000 * kNano)
    return invalid_argument("proximal_mu is 0 to 1000");
  return {};
}

Result<TrainOutcome> train(const Architecture& architecture, std::span<const float> parameters,
                           const Dataset& data, const TrainingOptions& options, std::uint64_t seed,
                           const std::string& device, const StepCallback& on_step) {
  return guarded([&]() -> Result<TrainOutcome> {
    FM_TRY_VOID(check_options(options));
    FM_TRY_VOID(check_fits(data, architecture));
    if (data.rows() == 0) return invalid_argument("the data hold no examples to train on");
    FM_TRY(const at::Device place, find_device(device));
    FM_TRY(Network net, Network::create(architecture, parameters, place, /*trainable=*/true));
    return run(net, architecture, data, options, seed, place, on_step);
  });
}

}  // namespace fedmesh::models
