// Append-only Merkle logs over SHA-256 as in RFC 9162, section 2.1 (the trees of RFC 6962):
// leaf = SHA256(0x00 ‖ bytes), node = SHA256(0x01 ‖ left ‖ right), empty = SHA256("").
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "base/bytes.h"
#include "base/ids.h"
#include "base/result.h"

namespace fedmesh::ledger {

Digest merkle_leaf(ByteView bytes);
Digest merkle_node(const Digest& left, const Digest& right);
Digest merkle_empty_root();

Digest merkle_root(std::span<const Bytes> leaves);  // hashes the leaves
Digest merkle_root_of_hashes(std::span<const Digest> leaf_hashes);

using MerkleProof = std::vector<Digest>;
inline constexpr std::size_t kMaxMerkleProof = 64;  // of an inclusion proof; consistency: one more

// The right edge of a log: enough to append and to know the root, 32 bytes per level. A value.
class MerkleFrontier {
 public:
  void append(const Digest& leaf_hash);
  std::uint64_t size() const { return size_; }
  Digest root() const;

 private:
  std::uint64_t size_ = 0;
  std::vector<Digest> peaks_;  // roots of the perfect subtrees, largest first
};

// A log with all its nodes, about 64 bytes per leaf, which can prove anything about its past.
// Not thread-safe: owned by the chain.
class MerkleLog {
 public:
  void append(const Digest& leaf_hash);
  std::uint64_t size() const { return levels_.empty() ? 0 : levels_[0].size(); }
  Digest root() const { return *root_at(size()); }
  const MerkleFrontier& frontier() const { return frontier_; }

  // invalid_argument where a size exceeds size(), an index its size, or `old_size` `new_size`.
  Result<Digest> leaf(std::uint64_t index) const;
  Result<Digest> root_at(std::uint64_t size) const;
  Result<MerkleProof> inclusion_proof(std::uint64_t index, std::uint64_t size) const;
  Result<MerkleProof> consistency_proof(std::uint64_t old_size, std::uint64_t new_size) const;

 private:
  Digest range_root(std::uint64_t begin, std::uint64_t end) const;

  std::vector<std::vector<Digest>> levels_;  // [k][i]: root of leaves [i·2^k, (i+1)·2^k)
  MerkleFrontier frontier_;
};

// RFC 9162, section 2.1.3.2. unauthenticated: the proof does not lead from the leaf to the root;
// invalid_argument: index or size out of range.
Result<void> verify_inclusion(const Digest& leaf_hash, std::uint64_t index, std::uint64_t size,
                              std::span<const Digest> proof, const Digest& root);

// RFC 9162, section 2.1.4.2: the log of new_size extends the log of old_size. Equal sizes and
// old_size = 0 take the empty proof.
Result<void> verify_consistency(std::uint64_t old_size, const Digest& old_root,
                                std::uint64_t new_size, const Digest& new_root,
                                std::span<const Digest> proof);

}  // namespace fedmesh::ledger
