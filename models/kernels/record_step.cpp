#include "models/kernels/record_step.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <string>

#include "base/check.h"
#include "models/kernels/dense.h"
#include "privacy/clip.h"

namespace fedmesh::models {

std::int64_t to_granules(double value, std::uint32_t fraction_bits) {
  FM_CHECK(!std::isnan(value), "NaN has no place on the grid");
  constexpr double kLimit = std::numeric_limits<std::int32_t>::max();
  const double scaled = std::ldexp(value, static_cast<int>(fraction_bits));
  return static_cast<std::int64_t>(std::nearbyint(std::clamp(scaled, -kLimit, kLimit)));
}

Result<RecordSum> clipped_gradient_sum(const Dataset& data, const Architecture& architecture,
                                       std::span<const float> parameters,
                                       const RecordStepConfig& config,
                                       const RecordProgress& on_progress) {
  if (config.fraction_bits > kFractionBitsMax)
    return invalid_argument("fraction_bits is at most " + std::to_string(kFractionBitsMax));
  if (config.clip_granules < 1 || config.clip_granules > std::numeric_limits<std::int32_t>::max())
    return invalid_argument("clip_granules is 1 to 2^31 - 1");
  FM_TRY_VOID(check_fits(data, architecture));
  FM_TRY(DenseNetwork net, DenseNetwork::create(architecture, parameters));

  RecordSum out;
  std::vector<double> direction(net.parameters());
  std::vector<std::int64_t> granules(net.parameters());
  std::vector<std::int64_t> sum(net.parameters(), 0);
  for (std::size_t i = 0; i < data.rows(); ++i) {
    if (on_progress && i % 256 == 0) on_progress(i, data.rows());
    net.descent_direction(data.row(i), data.labels[i], direction);
    ++out.records;
    if (!std::all_of(direction.begin(), direction.end(),
                     [](double d) { return std::isfinite(d); })) {
      ++out.non_finite;
      continue;
    }
    std::transform(direction.begin(), direction.end(), granules.begin(),
                   [&](double d) { return to_granules(d, config.fraction_bits); });
    privacy::clip_l1(granules, config.clip_granules);
    for (std::size_t j = 0; j < sum.size(); ++j) sum[j] += granules[j];
  }
  out.values = privacy::saturate(sum);
  return out;
}

}  // namespace fedmesh::models
