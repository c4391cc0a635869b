#include "base/crypto/blob_hash.h"

#include <algorithm>
#include <vector>

#include "base/crypto/digest.h"

namespace fedmesh::crypto {

Digest blob_root(ByteView blob) {
  std::vector<Digest> level;
  for (std::size_t at = 0; at < blob.size(); at += kBlobLeafBytes) {
    const ByteView leaf = blob.subspan(at, std::min(kBlobLeafBytes, blob.size() - at));
    level.push_back(Blake2b("fedmesh/blob-leaf/v1").add(leaf).finish());
  }
  while (level.size() > 1) {
    std::vector<Digest> above;
    for (std::size_t i = 0; i + 1 < level.size(); i += 2)
      above.push_back(Blake2b("fedmesh/blob-node/v1").add(level[i]).add(level[i + 1]).finish());
    if (level.size() % 2 == 1) above.push_back(level.back());
    level = std::move(above);
  }
  Blake2b root("fedmesh/blob-root/v1");
  root.add_u64(blob.size());
  if (!level.empty()) root.add(level.front());
  return root.finish();
}

}  // namespace fedmesh::crypto
