// Brings numeric inputs to a common scale. The constants are public: from the schema's bounds, from
// the job, or from a charged query; never from one silo's own rows, which would break the bound on
// what one record can change.
#pragma once

#include <vector>

#include "base/result.h"
#include "models/data/dataset.h"
#include "models/data/schema.h"
#include "models/data/tensor.h"

namespace fedmesh::models {

// One entry per numeric feature, in the order of Schema::numeric_features().
struct Standardisation {
  std::vector<double> mean;
  std::vector<double> scale;  // finite and positive
  friend bool operator==(const Standardisation&, const Standardisation&) = default;
};

// mean = middle of the bounds, scale = a quarter of their distance. Of a valid schema.
Standardisation from_bounds(const Schema& schema);

// Replaces every numeric input x by (x - mean) / scale, computed in double and rounded once; a
// result beyond float becomes the largest finite float. invalid_argument: lengths or values do not
// fit; the data is then unchanged.
Result<void> apply(Dataset& data, const Schema& schema, const Standardisation& constants);

// "mean" and "scale", F64, [n].
Tensors to_tensors(const Standardisation& constants);
// invalid_argument: not such tensors, not one per numeric feature, not finite, or scale <= 0.
Result<Standardisation> standardisation_from(const Tensors& tensors, const Schema& schema);

}  // namespace fedmesh::models
