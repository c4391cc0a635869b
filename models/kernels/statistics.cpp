#include "models/kernels/statistics.h"

#include <algorithm>
#include <cmath>
#include <string>
#include <vector>

#include "privacy/clip.h"

namespace fedmesh::models {
namespace {

struct Range {
  std::size_t feature = 0;
  double minimum = 0, maximum = 0;
};

std::vector<Range> numeric_ranges(const Schema& schema) {
  const auto features = schema.numeric_features();
  std::vector<Range> out;
  for (const Column& column : schema.columns) {
    if (column.kind != ColumnKind::numeric || out.size() == features.size()) continue;
    out.push_back({features[out.size()], static_cast<double>(column.minimum_micro) / 1e6,
                   static_cast<double>(column.maximum_micro) / 1e6});
  }
  return out;
}

}  // namespace

std::int64_t statistics_bound(const Schema& schema, std::uint32_t fraction_bits) {
  const auto numeric = static_cast<std::int64_t>(schema.numeric_features().size());
  return 2 * numeric * (std::int64_t{1} << std::min(fraction_bits, kFractionBitsMax));
}

Result<RecordSum> statistics_sum(const Dataset& data, const Schema& schema,
                                 std::uint32_t fraction_bits) {
  if (fraction_bits > kFractionBitsMax)
    return invalid_argument("fraction_bits is at most " + std::to_string(kFractionBitsMax));
  FM_TRY_VOID(schema.validate());
  const std::vector<Range> ranges = numeric_ranges(schema);
  if (ranges.empty())
    return invalid_argument(
        "the schema has no numeric columns, so there is nothing to standardise");
  if (data.features != schema.features() || data.inputs.size() != data.rows() * data.features)
    return invalid_argument("the data have " + std::to_string(data.features) +
                            " inputs per example, the schema says " +
                            std::to_string(schema.features()));
  RecordSum out;
  const std::size_t k = ranges.size();
  std::vector<std::int64_t> sum(2 * k, 0);
  for (std::size_t i = 0; i < data.rows(); ++i) {
    const auto row = data.row(i);
    ++out.records;
    if (!std::all_of(ranges.begin(), ranges.end(),
                     [&](const Range& r) { return std::isfinite(row[r.feature]); })) {
      ++out.non_finite;
      continue;
    }
    for (std::size_t j = 0; j < k; ++j) {
      const Range& r = ranges[j];
      const double x = row[r.feature];
      const double t =
          std::clamp((2 * x - r.minimum - r.maximum) / (r.maximum - r.minimum), -1.0, 1.0);
      sum[j] += to_granules(t, fraction_bits);
      sum[k + j] += to_granules(t * t, fraction_bits);
    }
  }
  out.values = privacy::saturate(sum);
  return out;
}

}  // namespace fedmesh::models
