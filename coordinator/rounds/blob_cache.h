// Public blobs that this node can serve (models, standardisation constants, evaluation sets), in
// memory and bounded. Not thread-safe: owned by the loop thread.
#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <set>
#include <utility>

#include "base/bytes.h"
#include "base/ids.h"
#include "base/result.h"

namespace fedmesh::rounds {

class BlobCache {
 public:
  explicit BlobCache(std::uint64_t bytes_max = 1u << 30) : bytes_max_(bytes_max) {}

  // Keeps it under its root; the oldest go when the bound is reached, never a pinned one.
  // exhausted: there is no room.
  Result<Digest> put(Bytes blob);
  // What must stay, whether it is here yet or not: replaces the pins before.
  void pin(std::set<Digest> roots) { pinned_ = std::move(roots); }
  const Bytes* get(const Digest& root) const;  // nullptr: not here; valid until the next put()

 private:
  std::uint64_t bytes_max_;
  std::uint64_t bytes_ = 0;
  std::map<Digest, Bytes> blobs_;
  std::deque<Digest> order_;
  std::set<Digest> pinned_;
};

}  // namespace fedmesh::rounds
