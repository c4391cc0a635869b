// The built-in model architectures: their parameter layout and their initial parameters, both pure
// functions, so that every node can compute the first global model without LibTorch. models/nets
// builds the same networks in LibTorch with the same names and shapes (PyTorch's convention: weight
// [out, in], bias [out]).
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/codec/codec.h"
#include "base/result.h"
#include "models/data/tensor.h"

namespace fedmesh::models {

enum class ArchitectureKind : std::uint8_t { logistic = 1, mlp = 2, cnn = 3 };
inline bool is_known(ArchitectureKind k) {
  return k >= ArchitectureKind::logistic && k <= ArchitectureKind::cnn;
}
const char* to_string(ArchitectureKind kind);

// logistic: "linear.weight" [o, features], "linear.bias" [o], o = 1 for two classes (logit of class
// 1), else classes. mlp: "layer0.weight", ... ReLU between, hidden sizes as given, last layer has
// `classes` outputs. Both read an image as one flat row. cnn: conv1 channels->32 3x3 pad 1, ReLU,
// max-pool 2, conv2 32->64 3x3 pad 1, ReLU, max-pool 2 (pools round down), fc1 -> 128, ReLU,
// fc2 -> classes.
struct Architecture {
  ArchitectureKind kind = ArchitectureKind::logistic;
  std::vector<std::int64_t> input_shape;  // {features} or {channels, height, width}
  std::uint32_t classes = 2;
  std::vector<std::uint32_t> hidden;  // mlp only
  FM_FIELDS(kind, input_shape, classes, hidden)

  Result<void> validate() const;  // bounded: at most 2^26 parameters
  Layout layout() const;          // in name order; of a valid architecture only (checked)
};

// Zero for logistic; otherwise uniform in ±1/sqrt(fan_in) from SeededRandom(seed), tensor by tensor
// in name order (a bias has the fan_in of its layer's weight), computed with IEEE operations only,
// hence bit-identical everywhere.
Tensors initial_parameters(const Architecture& architecture, std::uint64_t seed);

}  // namespace fedmesh::models
