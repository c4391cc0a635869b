// How many integer updates become one. A rule's result depends on the updates alone: not on their
// order, the threads or the machine, so that members of an aggregator committee agree bit by bit.
// One rule per file; this is the interface and the factory.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace fedmesh::aggregation {

// Fixed-point values (privacy/fixed_point.h) that the caller keeps alive during the call.
struct WeightedUpdate {
  std::span<const std::int32_t> values;
  std::uint32_t weight = 1;
};

// Not yet divided: the mean is values / total_weight, or over a public denominator.
struct Sum {
  std::vector<std::int64_t> values;
  std::uint64_t total_weight = 0;
  friend bool operator==(const Sum&, const Sum&) = default;
};

// Immutable after construction, thread-safe.
class AggregationRule {
 public:
  virtual ~AggregationRule() = default;
  virtual std::string_view name() const = 0;
  // invalid_argument, naming the update where there is one: whatever check_updates() refuses.
  virtual Result<Sum> aggregate(std::span<const WeightedUpdate> updates) const = 0;
};

// "mean", or its alias "fedavg". invalid_argument lists the names.
Result<std::unique_ptr<AggregationRule>> make_rule(std::string_view name);

// Whether so many updates of such weights can be summed in int64 whatever their values:
// 31 + ceil(log2 weight) + ceil(log2 updates) <= 62, which leaves room for noise. For the check of
// a configuration before anything is computed.
Result<void> check_capacity(std::uint64_t updates, std::uint32_t weight_max);

// What every rule demands: at least one update, equal lengths above zero, weights above zero,
// check_capacity().
Result<void> check_updates(std::span<const WeightedUpdate> updates);

}  // namespace fedmesh::aggregation
