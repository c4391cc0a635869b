// Forward and backward pass of the dense architectures (logistic, mlp) for one example, in double
// precision and in a fixed order: the result for an example depends on that example and the
// parameters alone, to the bit, which is what the sensitivity of a record-level query rests on.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "base/result.h"
#include "models/data/architecture.h"
#include "models/data/dataset.h"

namespace fedmesh::models {

// Not thread-safe: holds the scratch space of the pass.
class DenseNetwork {
 public:
  // `parameters` in layout order. invalid_argument: not a dense architecture, a wrong count, or a
  // value that is not finite.
  static Result<DenseNetwork> create(const Architecture& architecture,
                                     std::span<const float> parameters);

  std::size_t inputs() const { return layers_.front().inputs; }
  std::size_t parameters() const { return parameters_.size(); }

  struct Prediction {
    double loss = 0;  // log loss of the label
    std::uint32_t label = 0;
  };
  // input.size() == inputs() and 0 <= label < classes (checked).
  Prediction predict(std::span<const float> input, std::int32_t label);

  // Writes minus the gradient of the log loss into `out`, parameters() values in layout order. They
  // are not finite if the input is not, or where the arithmetic overflows.
  void descent_direction(std::span<const float> input, std::int32_t label, std::span<double> out);

 private:
  struct Layer {
    std::size_t inputs = 0, outputs = 0;
    std::size_t weight = 0, bias = 0;  // where they begin in the flat vector
  };
  DenseNetwork() = default;
  std::span<const double> forward(std::span<const float> input, std::int32_t label);

  std::uint32_t classes_ = 0;
  std::vector<Layer> layers_;
  std::vector<double> parameters_;
  std::vector<std::vector<double>> values_;  // values_[i]: what layer i reads; the last: the logits
  std::vector<double> delta_, next_delta_;
};

// invalid_argument unless every example of `data` can be given to a network of this architecture.
Result<void> check_fits(const Dataset& data, const Architecture& architecture);

}  // namespace fedmesh::models
