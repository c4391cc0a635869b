// Federated averaging (McMahan et al. 2017): the weighted sum, exactly.
#pragma once

#include "aggregation/rule.h"

namespace fedmesh::aggregation {

// To sum into.
std::vector<std::int64_t> zeros(std::size_t size);

// sum_j += weight · values_j, for sweeps over updates that are not all in memory. Equal lengths
// (checked); no overflow if check_capacity() holds.
void add_weighted(std::span<std::int64_t> sum, std::span<const std::int32_t> values,
                  std::uint32_t weight);

// The sum of absolute values; at most 2^32 values (not checked).
std::uint64_t l1_norm(std::span<const std::int32_t> values);

class FedAvg final : public AggregationRule {
 public:
  std::string_view name() const override { return "mean"; }
  Result<Sum> aggregate(std::span<const WeightedUpdate> updates) const override;
};

}  // namespace fedmesh::aggregation
