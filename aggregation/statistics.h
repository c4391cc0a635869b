// Means and scales of columns from noisy integer sums, the outcome of a charged standardisation
// query (models/kernels/statistics.h makes the summands). Only + − × ÷ √ in binary64, in a stated
// order: the same bits on every node. Clamping makes any noise give usable constants, and is
// post-processing.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "base/result.h"

namespace fedmesh::aggregation {

// Public, from the schema.
struct ColumnBounds {
  double minimum = 0;
  double maximum = 0;
};

struct ColumnStatistics {
  double mean = 0;
  double scale = 1;  // standard deviation; between √kVarianceFloor and 1 times the half-range
  friend bool operator==(const ColumnStatistics&, const ColumnStatistics&) = default;
};

// In units of the squared half-range. The floor keeps noise from blowing a column up: a
// standardised value stays within 2 / √0.05 < 9.
inline constexpr double kVarianceFloor = 0.05;

// `sums` holds Σt for the k columns, then Σt² for them, in units of 2^-fraction_bits, over
// `records` records; t = (x − middle) / half, clamped to [−1, 1]. Per column, from left to right:
//     m = clamp((Σt / records) · 2^-fraction_bits, −1, 1)
//     v = clamp((Σt² / records) · 2^-fraction_bits − m · m, kVarianceFloor, 1)
//     half = (maximum − minimum) / 2,  middle = minimum + half
//     mean = clamp(middle + half · m, minimum, maximum),  scale = half · √v
// invalid_argument: not 2k sums, records is 0 or above 2^53, fraction_bits is above 30, or the
// bounds of a column are not finite with minimum < maximum.
Result<std::vector<ColumnStatistics>> column_statistics(std::span<const std::int64_t> sums,
                                                        std::span<const ColumnBounds> bounds,
                                                        std::uint64_t records,
                                                        unsigned fraction_bits);

}  // namespace fedmesh::aggregation
