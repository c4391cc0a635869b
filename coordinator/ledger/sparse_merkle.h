// A compressed sparse Merkle tree over 256-bit key hashes: a subtree without leaves is 32 zero
// bytes, a subtree with one leaf is that leaf, any other is a node of its two halves. The root is a
// function of the set of entries alone. Depth is about log2(entries), at most 256. (Diem's sparse
// Merkle tree has the same compression.)
//   leaf = SHA256("fedmesh/state-leaf/v1" ‖ key_hash ‖ value_hash)
//   node = SHA256("fedmesh/state-node/v1" ‖ left ‖ right)
// Bit 0 of a path is the most significant bit of byte 0 of the key hash; 0 is left.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string_view>
#include <vector>

#include "base/bytes.h"
#include "base/codec/codec.h"
#include "base/ids.h"
#include "base/result.h"

namespace fedmesh::ledger {

struct StateLeaf {
  Digest key_hash;    // SHA256(key)
  Digest value_hash;  // SHA256(value)
  friend bool operator==(const StateLeaf&, const StateLeaf&) = default;
  FM_FIELDS(key_hash, value_hash)
};

inline constexpr std::size_t kMaxStateProofDepth = 256;

// Membership: the siblings from the root down to the key's leaf. Non-membership: the siblings down
// to an empty subtree, or to `other`, the lone leaf of the subtree the key would be in.
struct StateProof {
  std::vector<Digest> siblings;
  std::optional<StateLeaf> other;
  friend bool operator==(const StateProof&, const StateProof&) = default;
  FM_FIELDS(siblings, other)
};

// Stateless. `value` absent claims that the key is absent. unauthenticated: the proof does not
// hold.
Result<void> verify_state_proof(const Digest& root, std::string_view key,
                                std::optional<ByteView> value, const StateProof& proof);

// Hashes are recomputed lazily, along touched paths only. Not thread-safe: owned by State.
class SparseMerkleTree {
 public:
  SparseMerkleTree();
  ~SparseMerkleTree();
  SparseMerkleTree(SparseMerkleTree&&) noexcept;
  SparseMerkleTree& operator=(SparseMerkleTree&&) noexcept;

  void put(const StateLeaf& leaf);
  void erase(const Digest& key_hash);  // no effect where there is no such leaf
  Digest root();
  StateProof prove(const Digest& key_hash);

  struct Node;  // internal

 private:
  std::unique_ptr<Node> root_;
};

}  // namespace fedmesh::ledger
