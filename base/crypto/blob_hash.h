// Content addresses of bulk data: a BLAKE2b-256 Merkle tree over leaves of 64 KiB, so that a part
// can be checked without the whole. Leaf, inner node and root are hashed under different labels;
// the root covers the length.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "base/bytes.h"
#include "base/ids.h"

namespace fedmesh::crypto {

inline constexpr std::size_t kBlobLeafBytes = 64 * 1024;

// How many leaves a blob of that length has; the empty one has none.
constexpr std::uint64_t blob_leaf_count(std::uint64_t total) {
  return total / kBlobLeafBytes + (total % kBlobLeafBytes == 0 ? 0 : 1);
}
// How many bytes leaf `index` has: kBlobLeafBytes but for the last.
constexpr std::uint64_t blob_leaf_bytes(std::uint64_t total, std::uint64_t index) {
  const std::uint64_t at = index * kBlobLeafBytes;
  return total - at < kBlobLeafBytes ? total - at : kBlobLeafBytes;
}

Digest blob_leaf(ByteView leaf);
// Of consecutive leaves, of which the last one may be shorter: several times as fast as one by one
// from four leaves on.
std::vector<Digest> blob_leaves(ByteView bytes);
// Of a blob of `total` bytes with these leaves; they are blob_leaf_count(total).
Digest blob_root(std::span<const Digest> leaves, std::uint64_t total);

// An odd node at the end of a level moves up unchanged (as in RFC 6962). The empty blob has a root
// too.
Digest blob_root(ByteView blob);

}  // namespace fedmesh::crypto
