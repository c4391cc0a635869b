// Splits one data set over several silos, for simulations and measurements.
#pragma once

#include <cstdint>
#include <vector>

#include "base/result.h"
#include "models/data/dataset.h"

namespace fedmesh::models {

inline constexpr double kAlphaMin = 0.001;
inline constexpr double kAlphaMax = 1000;

struct PartitionRule {
  enum class Kind : std::uint8_t {
    iid,        // shuffled and dealt out, sizes differ by at most one
    dirichlet,  // each class is shared out by a draw from Dirichlet(alpha): small alpha, few
                // classes
    shards,     // rows sorted by class, cut into silos * shards_per_silo runs, dealt out
  };
  Kind kind = Kind::iid;
  std::uint32_t silos = 1;
  std::uint64_t seed = 0;
  double alpha = 0.5;                 // dirichlet: kAlphaMin to kAlphaMax
  std::uint32_t shards_per_silo = 2;  // shards
  friend bool operator==(const PartitionRule&, const PartitionRule&) = default;
};

// Row indices by silo, ascending. Every row is in exactly one silo and no silo is empty: with
// dirichlet, a silo that drew nothing takes one row from the largest. The same on every machine.
// invalid_argument: a parameter out of range, or fewer rows than silos (shards: than shards).
Result<std::vector<std::vector<std::size_t>>> partition(const Dataset& data,
                                                        const PartitionRule& rule);

}  // namespace fedmesh::models
