// Means and scales of columns from noisy integer sums, the outcome of a charged standardisation
// query (models/kernels/statistics.h makes the summands). Only + − × ÷ √ in binary64, in a stated
// order: the same bits on every node. Clamping makes any noise give usable constants, and is
// post-processing.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "base/result.h"
#include "privacy/noise.h"

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

// What is supposed of a column before its sums are seen, in units of the half-range and its square:
// the mean lies this far from the middle, the variance is a quarter (the scale that `standardise =
// "public"` uses) give or take kVarianceSpread. Standard deviations of a guess, chosen once.
inline constexpr double kMeanSpread = 0.3;
inline constexpr double kUsualVariance = 0.25;
inline constexpr double kVarianceSpread = 0.1;

// `sums` holds Σt for the k columns, then Σt² for them, in units of g = 2^-fraction_bits, over
// `records` records; t = (x − middle) / half, clamped to [−1, 1]. `noise` is what Laplace noise was
// added to them, {} for none. Measured values are pulled towards the supposed ones by as much as
// their noise outweighs kMeanSpread and kVarianceSpread (the posterior mean, were all of these
// normal). Without noise they are taken as they are; noise that drowns them leaves the constants of
// the bounds. Per column, from left to right:
//     b = sensitivity / epsilon,  s = b / records · g,  n = 2 · s · s
//     m = clamp((Σt / records) · g · (kMeanSpread² / (kMeanSpread² + n)), −1, 1)
//     w = kVarianceSpread² / (kVarianceSpread² + n · (1 + 4 · m · m))
//     r = (Σt² / records) · g − m · m
//     v = clamp(r · w + kUsualVariance · (1 − w), kVarianceFloor, 1)
//     half = (maximum − minimum) / 2,  middle = minimum + half
//     mean = clamp(middle + half · m, minimum, maximum),  scale = half · √v
// invalid_argument: not 2k sums, records is 0 or above 2^53, fraction_bits is above 30, noise has a
// sensitivity without a positive epsilon, or the bounds of a column are not finite with minimum <
// maximum.
Result<std::vector<ColumnStatistics>> column_statistics(std::span<const std::int64_t> sums,
                                                        std::span<const ColumnBounds> bounds,
                                                        std::uint64_t records,
                                                        unsigned fraction_bits,
                                                        privacy::LaplaceScale noise = {});

}  // namespace fedmesh::aggregation
