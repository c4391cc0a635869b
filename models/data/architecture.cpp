#include "models/data/architecture.h"

#include <algorithm>
#include <cmath>

#include "base/random.h"

namespace fedmesh::models {
namespace {

constexpr std::uint64_t kParametersMax = 1u << 26;
constexpr std::uint32_t kClassesMax = 1024;
constexpr std::size_t kHiddenLayersMax = 8;

// One affine layer: its weight has `outputs` rows of `fan_in` values.
struct Layer {
  std::string name;
  std::vector<std::int64_t> weight_shape;
  std::int64_t fan_in = 0;
};

Layer dense(std::string name, std::int64_t outputs, std::int64_t inputs) {
  return {std::move(name), {outputs, inputs}, inputs};
}

Layer convolution(std::string name, std::int64_t outputs, std::int64_t inputs) {
  return {std::move(name), {outputs, inputs, 3, 3}, inputs * 9};
}

std::int64_t flat_inputs(const Architecture& a) {
  std::int64_t total = 1;
  for (const std::int64_t extent : a.input_shape) total *= extent;
  return total;
}

// In the order of computation.
std::vector<Layer> layers(const Architecture& a) {
  const std::int64_t classes = a.classes;
  switch (a.kind) {
    case ArchitectureKind::logistic:
      return {dense("linear", classes == 2 ? 1 : classes, flat_inputs(a))};
    case ArchitectureKind::mlp: {
      std::vector<Layer> out;
      std::int64_t inputs = flat_inputs(a);
      for (std::size_t i = 0; i <= a.hidden.size(); ++i) {
        const std::int64_t outputs = i < a.hidden.size() ? a.hidden[i] : classes;
        out.push_back(dense("layer" + std::to_string(i), outputs, inputs));
        inputs = outputs;
      }
      return out;
    }
    case ArchitectureKind::cnn: {
      const std::int64_t pooled = 64 * (a.input_shape[1] / 4) * (a.input_shape[2] / 4);
      return {convolution("conv1", 32, a.input_shape[0]), convolution("conv2", 64, 32),
              dense("fc1", 128, pooled), dense("fc2", classes, 128)};
    }
  }
  FM_CHECK(false, "an architecture has an unknown kind");
}

std::uint64_t parameter_count(const Architecture& a) {
  std::uint64_t total = 0;
  for (const Layer& layer : layers(a))  // no overflow: every extent was bounded by validate()
    total += static_cast<std::uint64_t>(layer.weight_shape[0]) *
             (static_cast<std::uint64_t>(layer.fan_in) + 1);
  return total;
}

}  // namespace

const char* to_string(ArchitectureKind kind) {
  switch (kind) {
    case ArchitectureKind::logistic:
      return "logistic";
    case ArchitectureKind::mlp:
      return "mlp";
    case ArchitectureKind::cnn:
      return "cnn";
  }
  return "unknown";
}

Result<void> Architecture::validate() const {
  if (!is_known(kind)) return invalid_argument("architecture: allowed are logistic, mlp, cnn");
  if (classes < 2 || classes > kClassesMax)
    return invalid_argument("architecture: classes must be 2 to " + std::to_string(kClassesMax));
  const bool image = input_shape.size() == 3;
  if (!image && (input_shape.size() != 1 || kind == ArchitectureKind::cnn))
    return invalid_argument(kind == ArchitectureKind::cnn
                                ? "a cnn's input shape is [channels, height, width]"
                                : "an input shape is [features] or [channels, height, width]");
  std::int64_t inputs = 1;
  for (const std::int64_t extent : input_shape) {
    if (extent < 1 || extent > static_cast<std::int64_t>(kParametersMax))
      return invalid_argument("an input extent must be 1 to 2^26");
    inputs *= extent;  // at most 2^52: stops as soon as 2^26 is passed
    if (inputs > static_cast<std::int64_t>(kParametersMax))
      return invalid_argument("an example must have at most 2^26 values");
  }
  if (kind == ArchitectureKind::cnn && (input_shape[1] < 4 || input_shape[2] < 4))
    return invalid_argument("a cnn's input is at least 4 by 4: it is halved twice");
  if (kind != ArchitectureKind::mlp && !hidden.empty())
    return invalid_argument("hidden sizes belong to an mlp only");
  if (kind == ArchitectureKind::mlp && (hidden.empty() || hidden.size() > kHiddenLayersMax))
    return invalid_argument("an mlp has 1 to " + std::to_string(kHiddenLayersMax) +
                            " hidden layers");
  for (const std::uint32_t size : hidden)
    if (size < 1 || size > (1u << 20))
      return invalid_argument("a hidden layer has 1 to 2^20 units");
  const std::uint64_t parameters = parameter_count(*this);
  if (parameters > kParametersMax)
    return invalid_argument("the model has " + std::to_string(parameters) +
                            " parameters; at most 2^26 are allowed");
  return {};
}

Layout Architecture::layout() const {
  FM_CHECK(validate().ok(), "layout() of an invalid architecture");
  Layout out;
  for (Layer& layer : layers(*this)) {
    out.push_back({layer.name + ".bias", {layer.weight_shape[0]}});
    out.push_back({layer.name + ".weight", std::move(layer.weight_shape)});
  }
  std::sort(out.begin(), out.end(), [](const auto& a, const auto& b) { return a.name < b.name; });
  return out;
}

Tensors initial_parameters(const Architecture& architecture, std::uint64_t seed) {
  const Layout layout = architecture.layout();
  const std::vector<Layer> all = layers(architecture);
  SeededRandom random(seed);
  Tensors out;
  for (const auto& parameter : layout) {
    std::size_t count = 1;
    for (const std::int64_t extent : parameter.shape) count *= static_cast<std::size_t>(extent);
    std::vector<float> values(count, 0.0f);
    if (architecture.kind != ArchitectureKind::logistic) {
      const auto layer = std::find_if(all.begin(), all.end(), [&](const Layer& l) {
        return parameter.name.starts_with(l.name + ".");
      });
      const double bound = 1.0 / std::sqrt(static_cast<double>(layer->fan_in));
      for (float& value : values)
        value = static_cast<float>((2.0 * random.uniform() - 1.0) * bound);
    }
    out.push_back(Tensor::of(parameter.name, parameter.shape, values));
  }
  return out;
}

}  // namespace fedmesh::models
