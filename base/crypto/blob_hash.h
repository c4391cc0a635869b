// Content addresses of bulk data: a BLAKE2b-256 Merkle tree over leaves of 64 KiB, so that a part
// can be checked without the whole. Leaf, inner node and root are hashed under different labels;
// the root covers the length.
#pragma once

#include "base/bytes.h"
#include "base/ids.h"

namespace fedmesh::crypto {

inline constexpr std::size_t kBlobLeafBytes = 64 * 1024;

// An odd node at the end of a level moves up unchanged (as in RFC 6962). The empty blob has a root
// too.
Digest blob_root(ByteView blob);

}  // namespace fedmesh::crypto
