#include "coordinator/rounds/blob_cache.h"

#include "base/crypto/blob_hash.h"

namespace fedmesh::rounds {

Result<Digest> BlobCache::put(Bytes blob) {
  if (blob.size() > bytes_max_)
    return exhausted("a blob of " + std::to_string(blob.size()) + " bytes exceeds the cache of " +
                     std::to_string(bytes_max_));
  const Digest root = crypto::blob_root(blob);
  if (blobs_.contains(root)) return root;
  while (bytes_ + blob.size() > bytes_max_) {
    const auto oldest = blobs_.find(order_.front());
    bytes_ -= oldest->second.size();
    blobs_.erase(oldest);
    order_.pop_front();
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
