#include "models/data/dataset.h"

#include "base/check.h"

namespace fedmesh::models {

Dataset Dataset::subset(std::span<const std::size_t> indices) const {
  Dataset out;
  out.features = features;
  out.shape = shape;
  out.classes = classes;
  out.inputs.reserve(indices.size() * features);
  out.labels.reserve(indices.size());
  for (const std::size_t index : indices) {
    FM_CHECK(index < rows(), "a subset names a row that is not there");
    const auto values = row(index);
    out.inputs.insert(out.inputs.end(), values.begin(), values.end());
    out.labels.push_back(labels[index]);
  }
  return out;
}

}  // namespace fedmesh::models
