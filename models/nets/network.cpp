#include "models/nets/network.h"

#include <ATen/Context.h>
#include <ATen/Parallel.h>
#include <ATen/ops/argmax.h>
#include <ATen/ops/binary_cross_entropy_with_logits.h>
#include <ATen/ops/conv2d.h>
#include <ATen/ops/cross_entropy_loss.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/from_blob.h>
#include <ATen/ops/linear.h>
#include <ATen/ops/max_pool2d.h>
#include <ATen/ops/relu.h>
#include <dlfcn.h>
#include <torch/version.h>

#include <algorithm>
#include <cmath>
#include <cstring>

#include "models/kernels/dense.h"
#include "models/nets/runtime.h"

namespace fedmesh::models {
namespace {

template <class Function>
Function* find_symbol(const char* name) {
  return reinterpret_cast<Function*>(dlsym(RTLD_DEFAULT, name));
}

std::vector<std::int64_t> batch_shape(const Architecture& architecture, std::int64_t rows) {
  std::vector<std::int64_t> shape{rows};
  if (architecture.kind == ArchitectureKind::cnn) {
    shape.insert(shape.end(), architecture.input_shape.begin(), architecture.input_shape.end());
  } else {
    shape.push_back(-1);
  }
  return shape;
}

}  // namespace

Runtime initialise_runtime(int threads) {
  at::set_num_threads(threads);
  if (auto* set_threads = find_symbol<void(int)>("openblas_set_num_threads")) set_threads(threads);
  // Slower algorithms that repeat their results, where CUDA offers a choice.
  at::globalContext().setDeterministicCuDNN(true);
  at::globalContext().setBenchmarkCuDNN(false);
  Runtime out;
  out.torch_version = TORCH_VERSION;
  if (auto* config = find_symbol<char*()>("openblas_get_config")) out.blas = config();
  out.devices.push_back("cpu");
  if (at::globalContext().hasCUDA()) out.devices.push_back("cuda");
  return out;
}

std::string blas_warning(const Runtime& runtime) {
  if (!runtime.blas.empty()) return {};
  return "OpenBLAS is not in use: training will be several times slower. Install "
         "libopenblas0-pthread and build again, or select it with update-alternatives.";
}

Result<at::Device> find_device(const std::string& name) {
  const bool cuda = at::globalContext().hasCUDA();
  if (name == "cpu" || (name == "auto" && !cuda)) return at::Device(at::kCPU);
  if (name == "auto") return at::Device(at::kCUDA, 0);
  if (name != "cuda")
    return invalid_argument("unknown device '" + name + "'; use cpu, cuda or auto");
  if (!cuda)
    return unavailable(
        "the device cuda was asked for, but this LibTorch finds none; use cpu, or build against a "
        "LibTorch with CUDA and check the driver");
  return at::Device(at::kCUDA, 0);
}

Result<Network> Network::create(const Architecture& architecture, std::span<const float> parameters,
                                at::Device device, bool trainable) {
  FM_TRY_VOID(architecture.validate());
  const Layout layout = architecture.layout();
  if (parameters.size() != elements(layout))
    return invalid_argument("the model has " + std::to_string(parameters.size()) +
                            " parameters, its architecture " + std::to_string(elements(layout)));
  if (!std::all_of(parameters.begin(), parameters.end(), [](float p) { return std::isfinite(p); }))
    return invalid_argument("the model holds parameters that are not finite");
  Network net;
  net.architecture_ = architecture;
  const auto count = static_cast<std::int64_t>(parameters.size());
  at::Tensor host = at::empty({count}, at::kFloat);
  std::memcpy(host.data_ptr<float>(), parameters.data(), parameters.size() * sizeof(float));
  net.flat_ = host.to(device);
  std::int64_t first = 0;
  for (const ParameterShape& parameter : layout) {
    const auto size = static_cast<std::int64_t>(elements(Layout{parameter}));
    at::Tensor view = net.flat_.narrow(0, first, size).view(parameter.shape).detach();
    if (trainable) {
      view.requires_grad_(true);
      net.trainable_.push_back(view);
    }
    net.views_.emplace(parameter.name, std::move(view));
    first += size;
  }
  return net;
}

at::Tensor Network::logits(const at::Tensor& inputs) const {
  const auto dense = [&](const at::Tensor& x, const std::string& name) {
    return at::linear(x, parameter(name + ".weight"), parameter(name + ".bias"));
  };
  const auto convolution = [&](const at::Tensor& x, const std::string& name) {
    const at::Tensor y = at::conv2d(x, parameter(name + ".weight"), parameter(name + ".bias"),
                                    /*stride=*/1, /*padding=*/1);
    return at::max_pool2d(at::relu(y), /*kernel_size=*/2);
  };
  switch (architecture_.kind) {
    case ArchitectureKind::logistic:
      return dense(inputs, "linear");
    case ArchitectureKind::mlp: {
      at::Tensor x = inputs;
      for (std::size_t i = 0; i < architecture_.hidden.size(); ++i)
        x = at::relu(dense(x, "layer" + std::to_string(i)));
      return dense(x, "layer" + std::to_string(architecture_.hidden.size()));
    }
    case ArchitectureKind::cnn: {
      const at::Tensor x = convolution(convolution(inputs, "conv1"), "conv2");
      return dense(at::relu(dense(x.flatten(1), "fc1")), "fc2");
    }
  }
  FM_CHECK(false, "an architecture has an unknown kind");
}

at::Tensor Network::mean_loss(const at::Tensor& logits, const at::Tensor& labels) const {
  if (logits.size(1) == 1)
    return at::binary_cross_entropy_with_logits(logits.squeeze(1), labels.to(at::kFloat));
  return at::cross_entropy_loss(logits, labels);
}

at::Tensor Network::predictions(const at::Tensor& logits) const {
  if (logits.size(1) == 1) return logits.squeeze(1).gt(0).to(at::kLong);
  return at::argmax(logits, 1);
}

std::vector<float> Network::parameters() const {
  const at::Tensor host = flat_.to(at::kCPU).contiguous();
  const float* values = host.data_ptr<float>();
  return {values, values + host.numel()};
}

DeviceData to_device(const Dataset& data, const Architecture& architecture, at::Device device) {
  const auto rows = static_cast<std::int64_t>(data.rows());
  // from_blob wants mutable memory, but nothing writes to the inputs.
  const at::Tensor inputs =
      at::from_blob(const_cast<float*>(data.inputs.data()),
                    {rows, static_cast<std::int64_t>(data.features)}, at::kFloat)
          .view(batch_shape(architecture, rows));
  const at::Tensor labels =
      at::from_blob(const_cast<std::int32_t*>(data.labels.data()), {rows}, at::kInt);
  return {inputs.to(device), labels.to(device, at::kLong)};
}

}  // namespace fedmesh::models
