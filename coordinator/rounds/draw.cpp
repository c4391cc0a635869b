#include "coordinator/rounds/draw.h"

#include <algorithm>

#include "base/crypto/digest.h"
#include "base/random.h"

namespace fedmesh::rounds {

std::vector<NodeId> draw_order(const Digest& beacon, std::string_view purpose,
                               std::vector<Candidate> candidates) {
  std::sort(candidates.begin(), candidates.end(),
            [](const Candidate& a, const Candidate& b) { return a.node < b.node; });
  SeededRandom random(
      crypto::Blake2b("fedmesh/draw/v1").add_sized(as_bytes(purpose)).add(beacon).finish());
  std::uint64_t total = 0;
  for (const auto& candidate : candidates) total += candidate.weight;
  std::vector<NodeId> order;
  order.reserve(candidates.size());
  while (!candidates.empty()) {
    std::size_t chosen = 0;
    if (total > 0) {
      std::uint64_t point = random.below(total);
      while (point >= candidates[chosen].weight) point -= candidates[chosen++].weight;
    }
    total -= candidates[chosen].weight;
    order.push_back(candidates[chosen].node);
    candidates.erase(candidates.begin() + static_cast<std::ptrdiff_t>(chosen));
  }
  return order;
}

}  // namespace fedmesh::rounds
