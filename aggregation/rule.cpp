#include "aggregation/rule.h"

#include <algorithm>
#include <bit>
#include <string>

#include "aggregation/fedavg.h"

namespace fedmesh::aggregation {
namespace {

constexpr int kSumBits = 62;
constexpr int kValueBits = 31;

int ceil_log2(std::uint64_t value) { return value <= 1 ? 0 : std::bit_width(value - 1); }

}  // namespace

Result<std::unique_ptr<AggregationRule>> make_rule(std::string_view name) {
  if (name == "mean" || name == "fedavg") return std::unique_ptr<AggregationRule>(new FedAvg);
  return invalid_argument("unknown aggregation rule \"" + std::string(name.substr(0, 40)) +
                          "\": choose mean (alias fedavg)");
}

Result<void> check_capacity(std::uint64_t updates, std::uint32_t weight_max) {
  if (updates == 0 || weight_max == 0)
    return invalid_argument("an aggregate needs at least one update and weights above zero");
  if (kValueBits + ceil_log2(weight_max) + ceil_log2(updates) > kSumBits)
    return invalid_argument(std::to_string(updates) + " updates of weight up to " +
                            std::to_string(weight_max) +
                            " could overflow: lower the weight cap or the cohort");
  return {};
}

Result<void> check_updates(std::span<const WeightedUpdate> updates) {
  if (updates.empty()) return invalid_argument("there are no updates to aggregate");
  const std::size_t length = updates.front().values.size();
  if (length == 0) return invalid_argument("update 0 has no values");
  std::uint32_t weight_max = 0;
  for (std::size_t i = 0; i < updates.size(); ++i) {
    if (updates[i].values.size() != length)
      return invalid_argument("update " + std::to_string(i) + " has " +
                              std::to_string(updates[i].values.size()) + " values, the first has " +
                              std::to_string(length));
    if (updates[i].weight == 0)
      return invalid_argument("update " + std::to_string(i) + " has weight zero");
    weight_max = std::max(weight_max, updates[i].weight);
  }
  return check_capacity(updates.size(), weight_max);
}

}  // namespace fedmesh::aggregation
