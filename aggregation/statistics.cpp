#include "aggregation/statistics.h"

#include <algorithm>
#include <cmath>
#include <string>

#include "aggregation/float_environment.h"
#include "privacy/fixed_point.h"

namespace fedmesh::aggregation {
namespace {

struct Query {
  double records = 0;
  double granule = 0;
  double noise_variance = 0;  // of a sum divided by the records
};

[[gnu::noinline]] ColumnStatistics statistics_of(std::int64_t sum, std::int64_t sum_of_squares,
                                                 const ColumnBounds& bounds, const Query& query) {
  constexpr double kMeanPrior = kMeanSpread * kMeanSpread;
  constexpr double kVariancePrior = kVarianceSpread * kVarianceSpread;
  const double measured = static_cast<double>(sum) / query.records * query.granule;
  const double m =
      std::clamp(measured * (kMeanPrior / (kMeanPrior + query.noise_variance)), -1.0, 1.0);
  const double w = kVariancePrior / (kVariancePrior + query.noise_variance * (1.0 + 4.0 * m * m));
  const double square = static_cast<double>(sum_of_squares) / query.records * query.granule;
  const double r = square - m * m;
  const double v = std::clamp(r * w + kUsualVariance * (1.0 - w), kVarianceFloor, 1.0);
  const double half = (bounds.maximum - bounds.minimum) / 2;
  const double middle = bounds.minimum + half;
  return {std::clamp(middle + half * m, bounds.minimum, bounds.maximum), half * std::sqrt(v)};
}

}  // namespace

Result<std::vector<ColumnStatistics>> column_statistics(std::span<const std::int64_t> sums,
                                                        std::span<const ColumnBounds> bounds,
                                                        std::uint64_t records,
                                                        unsigned fraction_bits,
                                                        privacy::LaplaceScale noise) {
  if (sums.size() != 2 * bounds.size())
    return invalid_argument(std::to_string(bounds.size()) +
                            " columns need twice as many sums, not " + std::to_string(sums.size()));
  if (records == 0 || records > std::uint64_t{1} << 53)
    return invalid_argument("the number of records is between 1 and 2^53");
  if (fraction_bits > privacy::kFractionBitsMax)
    return invalid_argument("fraction_bits is at most 30");
  if (noise.sensitivity_granules > 0 && noise.epsilon_nano <= 0)
    return invalid_argument("noise of a sensitivity has an epsilon above 0");
  for (std::size_t i = 0; i < bounds.size(); ++i)
    if (!std::isfinite(bounds[i].maximum - bounds[i].minimum) ||
        !(bounds[i].minimum < bounds[i].maximum))
      return invalid_argument("column " + std::to_string(i) +
                              " needs finite bounds, the minimum below the maximum");
  const FloatEnvironment environment;
  Query query;
  query.records = static_cast<double>(records);
  query.granule = 1.0 / static_cast<double>(std::uint64_t{1} << fraction_bits);
  if (noise.sensitivity_granules > 0) {
    const double b = static_cast<double>(noise.sensitivity_granules) /
                     (static_cast<double>(noise.epsilon_nano) / 1e9);
    const double s = b / query.records * query.granule;
    query.noise_variance = 2 * s * s;
  }
  std::vector<ColumnStatistics> out;
  for (std::size_t i = 0; i < bounds.size(); ++i)
    out.push_back(statistics_of(sums[i], sums[bounds.size() + i], bounds[i], query));
  return out;
}

}  // namespace fedmesh::aggregation
