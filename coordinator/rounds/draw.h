// Weighted draws that every replica repeats: integers only, ties and order fixed by node id.
#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

#include "base/ids.h"

namespace fedmesh::rounds {

struct Candidate {
  NodeId node;
  std::uint64_t weight = 0;  // 0 is drawn only after all others, in id order
};

// All candidates in the order of a draw without replacement with probability proportional to
// weight. `purpose` separates draws under one beacon. Candidates need no order of their own.
std::vector<NodeId> draw_order(const Digest& beacon, std::string_view purpose,
                               std::vector<Candidate> candidates);

}  // namespace fedmesh::rounds
