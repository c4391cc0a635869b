// The sums from which public standardisation constants are computed (means and deviations of the
// numeric inputs), as one charged record-level query.
#pragma once

#include <cstdint>

#include "base/result.h"
#include "models/data/dataset.h"
#include "models/data/schema.h"
#include "models/kernels/record_step.h"

namespace fedmesh::models {

// The L1 bound of one record's contribution in granules: 2k · 2^fraction_bits for k numeric inputs.
// Exact: no clipping is needed, because the bounds in the schema are public.
std::int64_t statistics_bound(const Schema& schema, std::uint32_t fraction_bits);

// For numeric input j with public bounds [min, max], t_j = (2x − min − max) / (max − min), clamped
// to [−1, 1]; the sum over all records of (t_1 … t_k, t_1² … t_k²) on the grid. `data` are the
// inputs before any standardisation. A record with a numeric input that is not finite counts as
// zero. invalid_argument: the schema has no numeric columns or does not fit the data.
Result<RecordSum> statistics_sum(const Dataset& data, const Schema& schema,
                                 std::uint32_t fraction_bits);

}  // namespace fedmesh::models
