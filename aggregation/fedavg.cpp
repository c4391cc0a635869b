#include "aggregation/fedavg.h"

#include <algorithm>

namespace fedmesh::aggregation {
namespace {

// 32 KiB of sums stay in the first-level cache while all updates pass over them; memory is the
// limit, and the arithmetic is free.
constexpr std::size_t kBlock = 4096;

}  // namespace

void add_weighted(std::span<std::int64_t> sum, std::span<const std::int32_t> values,
                  std::uint32_t weight) {
  FM_CHECK(sum.size() == values.size(), "an update has as many values as the sum");
  if (weight == 1) {
    for (std::size_t j = 0; j < sum.size(); ++j) sum[j] += values[j];
  } else {
    const auto factor = static_cast<std::int64_t>(weight);
    for (std::size_t j = 0; j < sum.size(); ++j) sum[j] += factor * values[j];
  }
}

Result<Sum> FedAvg::aggregate(std::span<const WeightedUpdate> updates) const {
  FM_TRY_VOID(check_updates(updates));
  Sum out;
  out.values.assign(updates.front().values.size(), 0);
  for (const auto& update : updates) out.total_weight += update.weight;
  for (std::size_t at = 0; at < out.values.size(); at += kBlock) {
    const std::size_t size = std::min(kBlock, out.values.size() - at);
    for (const auto& update : updates)
      add_weighted(std::span(out.values).subspan(at, size), update.values.subspan(at, size),
                   update.weight);
  }
  return out;
}

}  // namespace fedmesh::aggregation
