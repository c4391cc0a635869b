// What the tests of blobs share.
#pragma once

#include "base/crypto/blob_hash.h"
#include "net/blob_store.h"
#include "net_fixture.h"

namespace fedmesh::net::test {

inline Bytes blob_of(std::uint64_t seed, std::size_t size) {
  Bytes out(size);
  const Digest key = crypto::Blake2b("blob of a test").add_u64(seed).finish();
  crypto::chacha20_stream(key.view(), 0, 0, out);
  return out;
}

inline ByteView leaf_of(ByteView blob, std::uint64_t index) {
  const std::size_t at = index * crypto::kBlobLeafBytes;
  return blob.subspan(at, std::min(crypto::kBlobLeafBytes, blob.size() - at));
}

inline BlobManifest manifest_of(ByteView blob) {
  BlobManifest manifest;
  manifest.total = blob.size();
  for (std::uint64_t i = 0; i < crypto::blob_leaf_count(blob.size()); ++i)
    manifest.leaves.push_back(crypto::blob_leaf(leaf_of(blob, i)));
  return manifest;
}

}  // namespace fedmesh::net::test
