// Federated averaging (McMahan et al. 2017): the weighted sum, exactly.
#pragma once

#include "aggregation/rule.h"

namespace fedmesh::aggregation {

class FedAvg final : public AggregationRule {
 public:
  std::string_view name() const override { return "mean"; }
  Result<Sum> aggregate(std::span<const WeightedUpdate> updates) const override;
};

}  // namespace fedmesh::aggregation
