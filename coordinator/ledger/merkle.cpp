#include "coordinator/ledger/merkle.h"

#include <algorithm>
#include <bit>
#include <string>

#include "base/check.h"
#include "base/crypto/digest.h"

namespace fedmesh::ledger {
namespace {

// The largest power of two below n, where the tree of n > 1 leaves splits.
std::uint64_t split_point(std::uint64_t n) { return std::bit_floor(n - 1); }

bool odd(std::uint64_t value) { return (value & 1) != 0; }

Error not_proven() { return unauthenticated("the Merkle proof does not lead to the root"); }

}  // namespace

Digest merkle_leaf(ByteView bytes) {
  const std::uint8_t prefix = 0;
  return crypto::Sha256().add({&prefix, 1}).add(bytes).finish();
}

Digest merkle_node(const Digest& left, const Digest& right) {
  std::array<std::uint8_t, 65> message;
  message[0] = 1;
  std::copy(left.bytes.begin(), left.bytes.end(), message.begin() + 1);
  std::copy(right.bytes.begin(), right.bytes.end(), message.begin() + 33);
  return crypto::sha256(message);
}

Digest merkle_empty_root() { return crypto::sha256({}); }

Digest merkle_root(std::span<const Bytes> leaves) {
  MerkleFrontier frontier;
  for (const Bytes& leaf : leaves) frontier.append(merkle_leaf(leaf));
  return frontier.root();
}

Digest merkle_root_of_hashes(std::span<const Digest> leaf_hashes) {
  MerkleFrontier frontier;
  for (const Digest& leaf : leaf_hashes) frontier.append(leaf);
  return frontier.root();
}

void MerkleFrontier::append(const Digest& leaf_hash) {
  Digest peak = leaf_hash;
  // Every trailing one bit of the old size is a perfect subtree of the size that `peak` has grown
  // to.
  for (std::uint64_t rest = size_; odd(rest); rest >>= 1) {
    peak = merkle_node(peaks_.back(), peak);
    peaks_.pop_back();
  }
  peaks_.push_back(peak);
  ++size_;
}

Digest MerkleFrontier::root() const {
  if (peaks_.empty()) return merkle_empty_root();
  Digest root = peaks_.back();
  for (std::size_t i = peaks_.size() - 1; i > 0; --i) root = merkle_node(peaks_[i - 1], root);
  return root;
}

void MerkleLog::append(const Digest& leaf_hash) {
  frontier_.append(leaf_hash);
  Digest node = leaf_hash;
  for (std::size_t level = 0;; ++level) {
    if (level == levels_.size()) levels_.emplace_back();
    auto& nodes = levels_[level];
    nodes.push_back(node);
    if (odd(nodes.size())) return;
    node = merkle_node(nodes[nodes.size() - 2], nodes[nodes.size() - 1]);
  }
}

// Of leaves [begin, end), where begin is a multiple of the power of two that covers the range.
Digest MerkleLog::range_root(std::uint64_t begin, std::uint64_t end) const {
  const std::uint64_t count = end - begin;
  if (std::has_single_bit(count)) {
    const auto level = static_cast<std::size_t>(std::countr_zero(count));
    return levels_[level][begin >> level];
  }
  const std::uint64_t left = split_point(count);
  return merkle_node(range_root(begin, begin + left), range_root(begin + left, end));
}

Result<Digest> MerkleLog::leaf(std::uint64_t index) const {
  if (index >= size())
    return invalid_argument("leaf " + std::to_string(index) + " of a log of " +
                            std::to_string(size()));
  return levels_[0][index];
}

Result<Digest> MerkleLog::root_at(std::uint64_t at) const {
  if (at > size())
    return invalid_argument("root at size " + std::to_string(at) + " of a log of " +
                            std::to_string(size()));
  if (at == 0) return merkle_empty_root();
  return range_root(0, at);
}

Result<MerkleProof> MerkleLog::inclusion_proof(std::uint64_t index, std::uint64_t at) const {
  if (at > size() || index >= at)
    return invalid_argument("inclusion of leaf " + std::to_string(index) + " at size " +
                            std::to_string(at) + " of a log of " + std::to_string(size()));
  MerkleProof proof;  // collected from the root down, then reversed
  for (std::uint64_t begin = 0, end = at; end - begin > 1;) {
    const std::uint64_t middle = begin + split_point(end - begin);
    if (index < middle) {
      proof.push_back(range_root(middle, end));
      end = middle;
    } else {
      proof.push_back(range_root(begin, middle));
      begin = middle;
    }
  }
  std::reverse(proof.begin(), proof.end());
  return proof;
}

Result<MerkleProof> MerkleLog::consistency_proof(std::uint64_t old_size,
                                                 std::uint64_t new_size) const {
  if (new_size > size() || old_size > new_size)
    return invalid_argument("consistency of sizes " + std::to_string(old_size) + " and " +
                            std::to_string(new_size) + " of a log of " + std::to_string(size()));
  MerkleProof proof;
  if (old_size == 0 || old_size == new_size) return proof;
  std::uint64_t begin = 0, end = new_size;
  // SUBPROOF of RFC 9162, section 2.1.4.1, from the root down.
  while (end != old_size) {
    const std::uint64_t middle = begin + split_point(end - begin);
    if (old_size <= middle) {
      proof.push_back(range_root(middle, end));
      end = middle;
    } else {
      proof.push_back(range_root(begin, middle));
      begin = middle;
    }
  }
  // Where the old tree is itself a subtree on the left edge, the verifier knows its root already.
  if (begin != 0) proof.push_back(range_root(begin, end));
  std::reverse(proof.begin(), proof.end());
  return proof;
}

Result<void> verify_inclusion(const Digest& leaf_hash, std::uint64_t index, std::uint64_t size,
                              std::span<const Digest> proof, const Digest& root) {
  if (index >= size)
    return invalid_argument("leaf " + std::to_string(index) + " of a log of " +
                            std::to_string(size));
  std::uint64_t fn = index, sn = size - 1;
  Digest hash = leaf_hash;
  for (const Digest& sibling : proof) {
    if (sn == 0) return not_proven();
    if (odd(fn) || fn == sn) {
      hash = merkle_node(sibling, hash);
      while (!odd(fn) && fn != 0) {
        fn >>= 1;
        sn >>= 1;
      }
    } else {
      hash = merkle_node(hash, sibling);
    }
    fn >>= 1;
    sn >>= 1;
  }
  if (sn != 0 || hash != root) return not_proven();
  return {};
}

Result<void> verify_consistency(std::uint64_t old_size, const Digest& old_root,
                                std::uint64_t new_size, const Digest& new_root,
                                std::span<const Digest> proof) {
  if (old_size > new_size)
    return invalid_argument("a log of " + std::to_string(new_size) + " cannot extend one of " +
                            std::to_string(old_size));
  if (old_size == new_size)
    return proof.empty() && old_root == new_root ? Result<void>() : not_proven();
  if (old_size == 0)
    return proof.empty() && old_root == merkle_empty_root() ? Result<void>() : not_proven();

  std::uint64_t fn = old_size - 1, sn = new_size - 1;
  while (odd(fn)) {
    fn >>= 1;
    sn >>= 1;
  }
  Digest old_hash = old_root;
  // An old size that is a power of two is a subtree whose root is known: it is not sent.
  if (!std::has_single_bit(old_size)) {
    if (proof.empty()) return not_proven();
    old_hash = proof.front();
    proof = proof.subspan(1);
  }
  Digest new_hash = old_hash;
  for (const Digest& sibling : proof) {
    if (sn == 0) return not_proven();
    if (odd(fn) || fn == sn) {
      old_hash = merkle_node(sibling, old_hash);
      new_hash = merkle_node(sibling, new_hash);
      while (!odd(fn) && fn != 0) {
        fn >>= 1;
        sn >>= 1;
      }
    } else {
      new_hash = merkle_node(new_hash, sibling);
    }
    fn >>= 1;
    sn >>= 1;
  }
  if (sn != 0 || old_hash != old_root || new_hash != new_root) return not_proven();
  return {};
}

}  // namespace fedmesh::ledger
