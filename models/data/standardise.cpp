#include "models/data/standardise.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <string>

namespace fedmesh::models {
namespace {

Result<void> check(const Standardisation& constants, std::size_t features) {
  if (constants.mean.size() != features || constants.scale.size() != features)
    return invalid_argument("standardisation has " + std::to_string(constants.mean.size()) +
                            " means and " + std::to_string(constants.scale.size()) +
                            " scales, the schema has " + std::to_string(features) +
                            " numeric inputs");
  for (std::size_t i = 0; i < features; ++i)
    if (!std::isfinite(constants.mean[i]) || !std::isfinite(constants.scale[i]) ||
        constants.scale[i] <= 0)
      return invalid_argument("standardisation " + std::to_string(i) +
                              ": mean must be finite, scale finite and positive");
  return {};
}

}  // namespace

Standardisation from_bounds(const Schema& schema) {
  Standardisation out;
  for (const Column& column : schema.columns) {
    if (column.kind != ColumnKind::numeric) continue;
    const double low = static_cast<double>(column.minimum_micro) / 1e6;
    const double high = static_cast<double>(column.maximum_micro) / 1e6;
    out.mean.push_back(low + (high - low) / 2);
    out.scale.push_back((high - low) / 4);
  }
  return out;
}

Result<void> apply(Dataset& data, const Schema& schema, const Standardisation& constants) {
  const std::vector<std::size_t> numeric = schema.numeric_features();
  FM_TRY_VOID(check(constants, numeric.size()));
  if (data.features != schema.features())
    return invalid_argument("the data has " + std::to_string(data.features) +
                            " inputs per row, the schema says " +
                            std::to_string(schema.features()));
  static constexpr double kMax = std::numeric_limits<float>::max();
  for (std::size_t row = 0; row < data.rows(); ++row) {
    for (std::size_t i = 0; i < numeric.size(); ++i) {
      float& value = data.inputs[row * data.features + numeric[i]];
      const double scaled = (static_cast<double>(value) - constants.mean[i]) / constants.scale[i];
      value = static_cast<float>(std::clamp(scaled, -kMax, kMax));
    }
  }
  return {};
}

Tensors to_tensors(const Standardisation& constants) {
  const auto count = static_cast<std::int64_t>(constants.mean.size());
  return {Tensor::of("mean", {count}, constants.mean),
          Tensor::of("scale", {count}, constants.scale)};
}

Result<Standardisation> standardisation_from(const Tensors& tensors, const Schema& schema) {
  const auto find = [&](const std::string& name) -> Result<std::vector<double>> {
    for (const Tensor& tensor : tensors)
      if (tensor.name == name && tensor.dtype == DType::f64 && tensor.shape.size() == 1 &&
          tensor.consistent())
        return tensor.doubles();
    return invalid_argument("standardisation has no tensor '" + name + "' of type F64 [n]");
  };
  Standardisation out;
  FM_TRY(out.mean, find("mean"));
  FM_TRY(out.scale, find("scale"));
  FM_TRY_VOID(check(out, schema.numeric_features().size()));
  return out;
}

}  // namespace fedmesh::models
