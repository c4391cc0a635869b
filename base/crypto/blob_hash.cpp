#include "base/crypto/blob_hash.h"

#include <algorithm>
#include <array>

#include "base/check.h"
#include "base/crypto/blake2b_lanes.h"
#include "base/crypto/digest.h"

namespace fedmesh::crypto {

namespace {

constexpr std::string_view kLeafLabel = "fedmesh/blob-leaf/v1";

// As Blake2b(label) begins.
Bytes leaf_prefix() {
  Bytes out(8);
  store_le64(out, kLeafLabel.size());
  append(out, as_bytes(kLeafLabel));
  return out;
}

}  // namespace

Digest blob_leaf(ByteView leaf) { return Blake2b(kLeafLabel).add(leaf).finish(); }

std::vector<Digest> blob_leaves(ByteView bytes) {
  static const Bytes prefix = leaf_prefix();
  std::vector<Digest> out;
  out.reserve(blob_leaf_count(bytes.size()));
  for (; bytes.size() >= kBlake2bLanes * kBlobLeafBytes;
       bytes = bytes.subspan(kBlake2bLanes * kBlobLeafBytes)) {
    std::array<ByteView, kBlake2bLanes> lanes;
    for (std::size_t i = 0; i < kBlake2bLanes; ++i)
      lanes[i] = bytes.subspan(i * kBlobLeafBytes, kBlobLeafBytes);
    for (const Digest& leaf : blake2b_lanes(prefix, lanes)) out.push_back(leaf);
  }
  for (; !bytes.empty(); bytes = bytes.subspan(std::min(kBlobLeafBytes, bytes.size())))
    out.push_back(blob_leaf(bytes.first(std::min(kBlobLeafBytes, bytes.size()))));
  return out;
}

Digest blob_root(std::span<const Digest> leaves, std::uint64_t total) {
  FM_CHECK(leaves.size() == blob_leaf_count(total), "a blob's leaves belong to its length");
  std::vector<Digest> level(leaves.begin(), leaves.end());
  while (level.size() > 1) {
    std::vector<Digest> above;
    for (std::size_t i = 0; i + 1 < level.size(); i += 2)
      above.push_back(Blake2b("fedmesh/blob-node/v1").add(level[i]).add(level[i + 1]).finish());
    if (level.size() % 2 == 1) above.push_back(level.back());
    level = std::move(above);
  }
  Blake2b root("fedmesh/blob-root/v1");
  root.add_u64(total);
  if (!level.empty()) root.add(level.front());
  return root.finish();
}

Digest blob_root(ByteView blob) { return blob_root(blob_leaves(blob), blob.size()); }

}  // namespace fedmesh::crypto
