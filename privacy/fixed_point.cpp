#include "privacy/fixed_point.h"

#include <cmath>
#include <limits>
#include <string>

namespace fedmesh::privacy {
namespace {

double power_of_two(unsigned bits) { return static_cast<double>(std::uint64_t{1} << bits); }

// floor() and the difference are exact here, so the rounding mode cannot enter.
double round_half_even(double x) {
  const double below = std::floor(x);
  const double rest = x - below;
  if (rest < 0.5) return below;
  if (rest > 0.5) return below + 1;
  return std::floor(below / 2) * 2 == below ? below : below + 1;
}

}  // namespace

Result<std::vector<std::int32_t>> quantise(std::span<const float> values, unsigned fraction_bits) {
  if (fraction_bits > kFractionBitsMax)
    return invalid_argument("fraction_bits is at most " + std::to_string(kFractionBitsMax));
  // A float has 24 significant bits, so the product in double is exact.
  const double scale = power_of_two(fraction_bits);
  std::vector<std::int32_t> out(values.size());
  for (std::size_t i = 0; i < values.size(); ++i) {
    if (!std::isfinite(values[i]))
      return invalid_argument("value " + std::to_string(i) + " is not finite");
    const double rounded = round_half_even(static_cast<double>(values[i]) * scale);
    if (rounded < std::numeric_limits<std::int32_t>::min() ||
        rounded > std::numeric_limits<std::int32_t>::max())
      return invalid_argument("value " + std::to_string(i) + " does not fit 32 bits with " +
                              std::to_string(fraction_bits) +
                              " fraction bits: clip it or use fewer");
    out[i] = static_cast<std::int32_t>(rounded);
  }
  return out;
}

double to_real(std::int64_t granules, unsigned fraction_bits) {
  FM_CHECK(fraction_bits <= kFractionBitsMax, "fraction_bits was validated with the job");
  return static_cast<double>(granules) / power_of_two(fraction_bits);
}

}  // namespace fedmesh::privacy
