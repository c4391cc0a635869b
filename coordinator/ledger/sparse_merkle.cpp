#include "coordinator/ledger/sparse_merkle.h"

#include <string>

#include "base/crypto/digest.h"

namespace fedmesh::ledger {
namespace {

constexpr std::string_view kLeafDomain = "fedmesh/state-leaf/v1";
constexpr std::string_view kNodeDomain = "fedmesh/state-node/v1";

bool path_bit(const Digest& key_hash, std::size_t depth) {
  return ((key_hash.bytes[depth / 8] >> (7 - depth % 8)) & 1) != 0;
}

Digest hash_pair(std::string_view domain, const Digest& a, const Digest& b) {
  std::array<std::uint8_t, kLeafDomain.size() + 64> message;
  static_assert(kLeafDomain.size() == kNodeDomain.size());
  auto at = std::copy(domain.begin(), domain.end(), message.begin());
  at = std::copy(a.bytes.begin(), a.bytes.end(), at);
  std::copy(b.bytes.begin(), b.bytes.end(), at);
  return crypto::sha256(message);
}

Digest hash_leaf(const StateLeaf& leaf) {
  return hash_pair(kLeafDomain, leaf.key_hash, leaf.value_hash);
}

bool share_path(const Digest& a, const Digest& b, std::size_t depth) {
  for (std::size_t i = 0; i < depth; ++i)
    if (path_bit(a, i) != path_bit(b, i)) return false;
  return true;
}

}  // namespace

// A leaf, or an inner node with at least two leaves below it.
struct SparseMerkleTree::Node {
  bool is_leaf = true;
  bool hashed = false;
  Digest hash;
  StateLeaf leaf;                  // of a leaf
  std::unique_ptr<Node> child[2];  // of an inner node; one of them may be empty
};

namespace {

using Node = SparseMerkleTree::Node;
using NodePtr = std::unique_ptr<Node>;

// True if anything changed.
bool put_below(NodePtr& node, std::size_t depth, const StateLeaf& leaf) {
  if (!node) {
    node = std::make_unique<Node>();
    node->leaf = leaf;
    return true;
  }
  if (node->is_leaf) {
    if (node->leaf == leaf) return false;
    if (node->leaf.key_hash == leaf.key_hash) {
      node->leaf = leaf;
      node->hashed = false;
      return true;
    }
    // Two leaves in one place: push the old one a level down and go on below.
    auto inner = std::make_unique<Node>();
    inner->is_leaf = false;
    inner->child[path_bit(node->leaf.key_hash, depth)] = std::move(node);
    node = std::move(inner);
  }
  const bool changed = put_below(node->child[path_bit(leaf.key_hash, depth)], depth + 1, leaf);
  if (changed) node->hashed = false;
  return changed;
}

bool erase_below(NodePtr& node, std::size_t depth, const Digest& key_hash) {
  if (!node) return false;
  if (node->is_leaf) {
    if (node->leaf.key_hash != key_hash) return false;
    node.reset();
    return true;
  }
  if (!erase_below(node->child[path_bit(key_hash, depth)], depth + 1, key_hash)) return false;
  node->hashed = false;
  // A leaf that is left alone moves up, so that the shape depends on the set of leaves only.
  for (const int side : {0, 1}) {
    NodePtr& other = node->child[side];
    if (!node->child[1 - side] && other && other->is_leaf) {
      NodePtr alone = std::move(other);
      node = std::move(alone);
      break;
    }
  }
  return true;
}

Digest hash_of(const NodePtr& node) {
  if (!node) return {};
  if (!node->hashed) {
    node->hash = node->is_leaf
                     ? hash_leaf(node->leaf)
                     : hash_pair(kNodeDomain, hash_of(node->child[0]), hash_of(node->child[1]));
    node->hashed = true;
  }
  return node->hash;
}

}  // namespace

SparseMerkleTree::SparseMerkleTree() = default;
SparseMerkleTree::~SparseMerkleTree() = default;
SparseMerkleTree::SparseMerkleTree(SparseMerkleTree&&) noexcept = default;
SparseMerkleTree& SparseMerkleTree::operator=(SparseMerkleTree&&) noexcept = default;

void SparseMerkleTree::put(const StateLeaf& leaf) { put_below(root_, 0, leaf); }
void SparseMerkleTree::erase(const Digest& key_hash) { erase_below(root_, 0, key_hash); }
Digest SparseMerkleTree::root() { return hash_of(root_); }

StateProof SparseMerkleTree::prove(const Digest& key_hash) {
  StateProof proof;
  const NodePtr* node = &root_;
  for (std::size_t depth = 0; *node && !(*node)->is_leaf; ++depth) {
    const bool bit = path_bit(key_hash, depth);
    proof.siblings.push_back(hash_of((*node)->child[!bit]));
    node = &(*node)->child[bit];
  }
  if (*node && (*node)->leaf.key_hash != key_hash) proof.other = (*node)->leaf;
  return proof;
}

Result<void> verify_state_proof(const Digest& root, std::string_view key,
                                std::optional<ByteView> value, const StateProof& proof) {
  const std::size_t depth = proof.siblings.size();
  if (depth > kMaxStateProofDepth)
    return invalid_argument("a state proof has at most 256 siblings, not " + std::to_string(depth));
  const Digest key_hash = crypto::sha256(as_bytes(key));
  Digest hash;  // an empty subtree
  if (value) {
    if (proof.other) return invalid_argument("a proof of membership names another leaf");
    hash = hash_leaf({key_hash, crypto::sha256(*value)});
  } else if (proof.other) {
    if (proof.other->key_hash == key_hash)
      return unauthenticated("the state proof shows the key that it claims to be absent");
    if (!share_path(proof.other->key_hash, key_hash, depth))
      return unauthenticated("the state proof shows a leaf in another place");
    hash = hash_leaf(*proof.other);
  }
  for (std::size_t i = depth; i > 0; --i) {
    const Digest& sibling = proof.siblings[i - 1];
    hash = path_bit(key_hash, i - 1) ? hash_pair(kNodeDomain, sibling, hash)
                                     : hash_pair(kNodeDomain, hash, sibling);
  }
  if (hash != root) return unauthenticated("the state proof does not lead to the state root");
  return {};
}

}  // namespace fedmesh::ledger
