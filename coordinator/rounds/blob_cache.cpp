#include "coordinator/rounds/blob_cache.h"

#include "base/crypto/blob_hash.h"

namespace fedmesh::rounds {

Result<Digest> BlobCache::put(Bytes blob) {
  if (blob.size() > bytes_max_)
    return exhausted("a blob of " + std::to_string(blob.size()) + " bytes exceeds the cache of " +
                     std::to_string(bytes_max_));
  const Digest root = crypto::blob_root(blob);
  if (blobs_.contains(root)) return root;
  for (auto oldest = order_.begin(); bytes_ + blob.size() > bytes_max_;) {
    if (oldest == order_.end())
      return exhausted("live jobs use all " + std::to_string(bytes_max_) + " bytes of the cache");
    if (pinned_.contains(*oldest)) {
      ++oldest;
      continue;
    }
    const auto gone = blobs_.find(*oldest);
    bytes_ -= gone->second.size();
    blobs_.erase(gone);
    oldest = order_.erase(oldest);
  }
  bytes_ += blob.size();
  blobs_.emplace(root, std::move(blob));
  order_.push_back(root);
  return root;
}

const Bytes* BlobCache::get(const Digest& root) const {
  const auto at = blobs_.find(root);
  return at == blobs_.end() ? nullptr : &at->second;
}

}  // namespace fedmesh::rounds
