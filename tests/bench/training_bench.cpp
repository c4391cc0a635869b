// Local training of the CNN of the README's digits job: what a trainer does for one task, against
// the same network, batches and steps written as a plain LibTorch loop with nothing around it.
#include <ATen/core/grad_mode.h>
#include <ATen/ops/conv2d.h>
#include <ATen/ops/cross_entropy_loss.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/from_blob.h>
#include <ATen/ops/linear.h>
#include <ATen/ops/max_pool2d.h>
#include <ATen/ops/randperm.h>
#include <ATen/ops/relu.h>
#include <ATen/ops/zeros_like.h>

#include <map>
#include <string>

#include "base/check.h"
#include "models/data/generators.h"
#include "models/data/safetensors.h"
#include "models/nets/runtime.h"
#include "models/nets/training.h"
#include "tests/bench/operations.h"
#include "worker/trainer/runner/torch_executor.h"

namespace fedmesh::bench {
namespace {

constexpr std::int64_t kRows = 2048, kBatch = 32;

models::Architecture cnn() {
  models::Architecture out;
  out.kind = models::ArchitectureKind::cnn;
  out.input_shape = {1, 28, 28};
  out.classes = 10;
  return out;
}

models::TrainingOptions options() {
  models::TrainingOptions out;
  out.learning_rate_nano = 50'000'000;
  out.momentum_nano = 900'000'000;
  out.batch_size = kBatch;
  return out;
}

const models::Dataset& images(std::int64_t rows) {
  static std::map<std::int64_t, models::Dataset> kept;
  const auto found = kept.find(rows);
  if (found != kept.end()) return found->second;
  return kept.emplace(rows, models::digits(3, static_cast<std::uint64_t>(rows))).first->second;
}

class PlainNet {
 public:
  PlainNet() {
    for (const auto& tensor : models::initial_parameters(cnn(), 1)) {
      at::Tensor value = at::empty(tensor.shape, at::kFloat);
      const auto initial = tensor.floats();
      std::copy(initial.begin(), initial.end(), value.data_ptr<float>());
      value.requires_grad_(true);
      momentum_.emplace(tensor.name, at::zeros_like(value));
      parameters_.emplace(tensor.name, std::move(value));
    }
  }
  double step(const at::Tensor& inputs, const at::Tensor& labels) {
    const auto pooled = [&](const at::Tensor& x, const std::string& name) {
      return at::max_pool2d(at::relu(at::conv2d(x, of(name + ".weight"), of(name + ".bias"), 1, 1)),
                            2);
    };
    const at::Tensor flat = pooled(pooled(inputs, "conv1"), "conv2").flatten(1);
    const at::Tensor hidden = at::relu(at::linear(flat, of("fc1.weight"), of("fc1.bias")));
    const at::Tensor loss =
        at::cross_entropy_loss(at::linear(hidden, of("fc2.weight"), of("fc2.bias")), labels);
    loss.backward();
    at::NoGradGuard no_grad;
    for (auto& [name, value] : parameters_) {
      at::Tensor& momentum = momentum_.at(name);
      momentum.mul_(0.9).add_(value.grad());
      value.add_(momentum, -0.05);
      value.mutable_grad().reset();
    }
    return loss.item<double>();
  }

 private:
  const at::Tensor& of(const std::string& name) const { return parameters_.at(name); }
  std::map<std::string, at::Tensor> parameters_, momentum_;
};

void plain_loop(benchmark::State& state) {
  const auto& data = images(state.range(0));
  const auto rows = state.range(0);
  const at::Tensor inputs =
      at::from_blob(const_cast<float*>(data.inputs.data()), {rows, 1, 28, 28}, at::kFloat);
  const at::Tensor labels =
      at::from_blob(const_cast<std::int32_t*>(data.labels.data()), {rows}, at::kInt).to(at::kLong);
  for (auto _ : state) {
    PlainNet net;
    const at::Tensor order = at::randperm(rows, at::kLong);
    for (std::int64_t first = 0; first < rows; first += kBatch) {
      const at::Tensor chosen = order.narrow(0, first, std::min(kBatch, rows - first));
      benchmark::DoNotOptimize(
          net.step(inputs.index_select(0, chosen), labels.index_select(0, chosen)));
    }
  }
  state.SetItemsProcessed(state.iterations() * rows);
}

// Message in, message out, as over the pipe.
void task(benchmark::State& state) {
  trainer::TorchExecutor executor;
  trainer::TrainTask train;
  train.data.uri = "digits:rows=" + std::to_string(state.range(0)) + ",seed=3";
  train.data.schema = models::digits_schema();
  train.architecture = cnn();
  train.model = models::encode_safetensors(models::initial_parameters(cnn(), 1));
  train.options = options();
  const auto run = [&] {
    trainer::Request request{1, trainer::TaskKind::train, codec::encode(train)};
    const auto response = executor.run(request, [](std::uint64_t, std::uint64_t) {});
    FM_CHECK(response.ok, response.error.c_str());
  };
  run();  // loads the data, which later rounds find in memory
  for (auto _ : state) {
    ++train.seed;
    run();
  }
  state.SetItemsProcessed(state.iterations() * state.range(0));
}

}  // namespace

void register_training() {
  models::initialise_runtime(1);
  benchmark::RegisterBenchmark("training/one_step", task)->Arg(kBatch);
  for (const auto& [name, run] :
       {std::pair{"training/task", &task}, {"training/pure", &plain_loop}})
    benchmark::RegisterBenchmark(name, run)->Arg(kRows)->MeasureProcessCPUTime()->Unit(
        benchmark::kMillisecond);
}

}  // namespace fedmesh::bench
