// From an aggregate to the next model. IEEE-754 binary64 with + × ÷ only, each operation rounded
// once in a stated order, no fused multiply-add, no libm: the same bits on every node.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "base/result.h"

namespace fedmesh::aggregation {

// new_j = base_j + step · (sum_j / denominator) · 2^-fraction_bits, as
//     float(double(base_j) + eta · ((double(sum_j) / double(denominator)) · 2^-fraction_bits)),
// eta = double(step_nano) / 10^9: six roundings at most, the last one to binary32.
// invalid_argument: lengths differ, the denominator is 0 or above 2^53, fraction_bits is above 30,
// |step_nano| is above 10^15, or the parameter that is named does not stay finite.
Result<std::vector<float>> apply_mean(std::span<const float> base,
                                      std::span<const std::int64_t> sum, std::uint64_t denominator,
                                      unsigned fraction_bits, std::int64_t step_nano);

// Averaged iterates: average_sum_j += iterate_j, in the order of the rounds. Equal lengths
// (checked).
void running_average(std::span<double> average_sum, std::span<const float> iterate);
// float(sum_j / double(count)); all zeros before the first iterate (count 0).
std::vector<float> average(std::span<const double> sum, std::uint64_t count);

}  // namespace fedmesh::aggregation
