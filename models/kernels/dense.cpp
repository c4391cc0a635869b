#include "models/kernels/dense.h"

#include <algorithm>
#include <cmath>
#include <string>

#include "base/check.h"

namespace fedmesh::models {
namespace {

// 1 / (1 + e^-z) without overflow for either sign.
double sigmoid(double z) {
  if (z >= 0) return 1.0 / (1.0 + std::exp(-z));
  const double e = std::exp(z);
  return e / (1.0 + e);
}

double log_sum_exp(std::span<const double> logits) {
  const double largest = *std::max_element(logits.begin(), logits.end());
  double sum = 0;
  for (const double z : logits) sum += std::exp(z - largest);
  return largest + std::log(sum);
}

std::size_t offset_of(const Layout& layout, const std::string& name) {
  std::size_t at = 0;
  for (const ParameterShape& parameter : layout) {
    if (parameter.name == name) return at;
    at += elements(Layout{parameter});
  }
  FM_CHECK(false, "a dense architecture lacks one of its parameters");
}

}  // namespace

Result<DenseNetwork> DenseNetwork::create(const Architecture& architecture,
                                          std::span<const float> parameters) {
  FM_TRY_VOID(architecture.validate());
  if (architecture.kind == ArchitectureKind::cnn)
    return invalid_argument(
        "the fixed-order kernel has no cnn; allowed are logistic and mlp (record-level privacy "
        "needs one of them)");
  const Layout layout = architecture.layout();
  if (parameters.size() != elements(layout))
    return invalid_argument("the model has " + std::to_string(parameters.size()) +
                            " parameters, its architecture " + std::to_string(elements(layout)));
  if (!std::all_of(parameters.begin(), parameters.end(), [](float p) { return std::isfinite(p); }))
    return invalid_argument("the model holds parameters that are not finite");

  DenseNetwork net;
  net.classes_ = architecture.classes;
  net.parameters_.assign(parameters.begin(), parameters.end());
  std::size_t inputs = 1;
  for (const std::int64_t extent : architecture.input_shape)
    inputs *= static_cast<std::size_t>(extent);
  const bool logistic = architecture.kind == ArchitectureKind::logistic;
  const std::size_t count = logistic ? 1 : architecture.hidden.size() + 1;
  for (std::size_t i = 0; i < count; ++i) {
    const std::string name = logistic ? "linear" : "layer" + std::to_string(i);
    const std::size_t outputs = i + 1 < count                           ? architecture.hidden[i]
                                : logistic && architecture.classes == 2 ? 1
                                                                        : architecture.classes;
    net.layers_.push_back(
        {inputs, outputs, offset_of(layout, name + ".weight"), offset_of(layout, name + ".bias")});
    net.values_.emplace_back(inputs);
    inputs = outputs;
  }
  net.values_.emplace_back(inputs);
  return net;
}

std::span<const double> DenseNetwork::forward(std::span<const float> input, std::int32_t label) {
  FM_CHECK(input.size() == inputs(), "an example has another number of inputs than the network");
  FM_CHECK(label >= 0 && static_cast<std::uint32_t>(label) < classes_, "a label is out of range");
  std::copy(input.begin(), input.end(), values_.front().begin());
  for (std::size_t i = 0; i < layers_.size(); ++i) {
    const Layer& layer = layers_[i];
    const bool hidden = i + 1 < layers_.size();
    for (std::size_t o = 0; o < layer.outputs; ++o) {
      const double* weight = parameters_.data() + layer.weight + o * layer.inputs;
      double sum = parameters_[layer.bias + o];
      for (std::size_t j = 0; j < layer.inputs; ++j) sum += weight[j] * values_[i][j];
      // Written so that NaN passes through: a bad example must not look like a good one.
      values_[i + 1][o] = hidden && sum < 0 ? 0.0 : sum;
    }
  }
  return values_.back();
}

DenseNetwork::Prediction DenseNetwork::predict(std::span<const float> input, std::int32_t label) {
  const auto logits = forward(input, label);
  if (logits.size() == 1) {
    const double z = logits[0];
    const double against = label == 1 ? -z : z;  // loss = log(1 + e^against)
    return {std::max(against, 0.0) + std::log1p(std::exp(-std::fabs(z))), z > 0 ? 1u : 0u};
  }
  const auto best = std::max_element(logits.begin(), logits.end());
  return {log_sum_exp(logits) - logits[static_cast<std::size_t>(label)],
          static_cast<std::uint32_t>(best - logits.begin())};
}

void DenseNetwork::descent_direction(std::span<const float> input, std::int32_t label,
                                     std::span<double> out) {
  FM_CHECK(out.size() == parameters(), "the output has another size than the model");
  const auto logits = forward(input, label);
  delta_.assign(logits.size(), 0.0);
  if (logits.size() == 1) {
    delta_[0] = (label == 1 ? 1.0 : 0.0) - sigmoid(logits[0]);
  } else {
    const double norm = log_sum_exp(logits);
    for (std::size_t o = 0; o < logits.size(); ++o)
      delta_[o] = (static_cast<std::size_t>(label) == o ? 1.0 : 0.0) - std::exp(logits[o] - norm);
  }
  for (std::size_t i = layers_.size(); i-- > 0;) {
    const Layer& layer = layers_[i];
    next_delta_.assign(layer.inputs, 0.0);
    for (std::size_t o = 0; o < layer.outputs; ++o) {
      const double delta = delta_[o];
      const double* weight = parameters_.data() + layer.weight + o * layer.inputs;
      double* gradient = out.data() + layer.weight + o * layer.inputs;
      out[layer.bias + o] = delta;
      for (std::size_t j = 0; j < layer.inputs; ++j) gradient[j] = delta * values_[i][j];
      if (i == 0) continue;
      for (std::size_t j = 0; j < layer.inputs; ++j) next_delta_[j] += delta * weight[j];
    }
    for (std::size_t j = 0; i > 0 && j < layer.inputs; ++j)
      if (values_[i][j] <= 0) next_delta_[j] = 0;  // the derivative of ReLU
    delta_.swap(next_delta_);
  }
}

Result<void> check_fits(const Dataset& data, const Architecture& architecture) {
  FM_TRY_VOID(architecture.validate());
  std::uint64_t inputs = 1;
  for (const std::int64_t extent : architecture.input_shape)
    inputs *= static_cast<std::uint64_t>(extent);
  if (data.features != inputs)
    return invalid_argument("the data have " + std::to_string(data.features) +
                            " inputs per example, the model reads " + std::to_string(inputs));
  if (data.inputs.size() != data.rows() * data.features)
    return invalid_argument("the data's inputs and labels do not have the same number of rows");
  const auto in_range = [&](std::int32_t label) {
    return label >= 0 && static_cast<std::uint32_t>(label) < architecture.classes;
  };
  if (!std::all_of(data.labels.begin(), data.labels.end(), in_range))
    return invalid_argument("the data hold a label outside 0 to " +
                            std::to_string(architecture.classes - 1) + ", the model's classes");
  return {};
}

}  // namespace fedmesh::models
