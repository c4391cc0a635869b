// The record-level step: the sum over all examples of the clipped gradient, in integers. Each
// example is quantised and L1-clipped alone and in integers, and integer sums have no order, so
// zeroing one example moves the sum by at most the clip bound exactly, whatever the dimension;
// clipping in floats before rounding would need a slack that grows with it.
#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <vector>

#include "base/result.h"
#include "models/data/architecture.h"
#include "models/data/dataset.h"

namespace fedmesh::models {

inline constexpr std::uint32_t kFractionBitsMax = 30;

struct RecordSum {
  // Saturated to int32 (a 1-Lipschitz map in L1, so the sensitivity stays).
  std::vector<std::int32_t> values;
  std::uint64_t records = 0;     // all examples, those that count as zero included
  std::uint64_t non_finite = 0;  // examples that count as zero. Private: stays with the worker
};

struct RecordStepConfig {
  std::uint32_t fraction_bits = 12;  // one granule is 2^-fraction_bits; at most kFractionBitsMax
  std::int64_t clip_granules = 0;    // L1 bound of one example's vector; 1 to 2^31 - 1
};

using RecordProgress = std::function<void(std::uint64_t done, std::uint64_t total)>;

// Sum of the clipped *descent* directions (minus the gradient of the log loss) at `parameters`, in
// layout order: model = base + learning_rate · 2^-fraction_bits · values / N.
// An example whose gradient is not finite counts as zero. `on_progress`, if given, is called now
// and then with the examples done and in all. invalid_argument: neither logistic nor mlp, sizes
// that do not fit, a configuration out of range.
Result<RecordSum> clipped_gradient_sum(const Dataset& data, const Architecture& architecture,
                                       std::span<const float> parameters,
                                       const RecordStepConfig& config,
                                       const RecordProgress& on_progress = {});

// `value` on the grid, half to even. Values beyond the int32 range are moved to its ends, which is
// a function of this value alone. `value` must not be NaN (checked).
std::int64_t to_granules(double value, std::uint32_t fraction_bits);

}  // namespace fedmesh::models
