// How well a model does on a data set. models/nets computes the same for every architecture.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "base/result.h"
#include "models/data/architecture.h"
#include "models/data/dataset.h"

namespace fedmesh::models {

struct Evaluation {
  double loss = 0;  // mean log loss; not finite where the model's output is not
  std::uint64_t count = 0;
  std::uint64_t correct = 0;
  std::vector<std::uint64_t> class_count;    // per true class
  std::vector<std::uint64_t> class_correct;  // of them, predicted right
  friend bool operator==(const Evaluation&, const Evaluation&) = default;
};

// Of a logistic model or an mlp, without LibTorch. `parameters` are in layout order. A tie goes to
// the lower class; an example whose loss is not finite counts as wrong. invalid_argument: another
// architecture, sizes that do not fit, parameters that are not finite.
Result<Evaluation> evaluate_dense(const Dataset& data, const Architecture& architecture,
                                  std::span<const float> parameters);

}  // namespace fedmesh::models
