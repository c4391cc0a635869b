// Examples in memory, ready for a model: dense float32 inputs in row-major order and class labels.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

namespace fedmesh::models {

// Not changed after loading and standardising. rows() == labels.size(); inputs.size() == rows() *
// features.
struct Dataset {
  std::size_t features = 0;         // values per example
  std::vector<std::int64_t> shape;  // of one example: {features} or {channels, height, width}
  std::uint32_t classes = 0;        // labels lie in [0, classes)
  std::vector<float> inputs;
  std::vector<std::int32_t> labels;

  std::size_t rows() const { return labels.size(); }
  std::span<const float> row(std::size_t index) const {
    return std::span(inputs).subspan(index * features, features);
  }
  // The rows at `indices`, in that order. Every index is below rows() (checked).
  Dataset subset(std::span<const std::size_t> indices) const;
  friend bool operator==(const Dataset&, const Dataset&) = default;
};

}  // namespace fedmesh::models
