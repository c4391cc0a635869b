#include "base/crypto/blob_hash.h"

#include <algorithm>
#include <vector>

#include "base/check.h"
#include "base/crypto/digest.h"

namespace fedmesh::crypto {

Digest blob_leaf(ByteView leaf) { return Blake2b("fedmesh/blob-leaf/v1").add(leaf).finish(); }

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

Digest blob_root(ByteView blob) {
  std::vector<Digest> leaves;
  for (std::size_t at = 0; at < blob.size(); at += kBlobLeafBytes)
    leaves.push_back(blob_leaf(blob.subspan(at, std::min(kBlobLeafBytes, blob.size() - at))));
  return blob_root(leaves, blob.size());
}

}  // namespace fedmesh::crypto
