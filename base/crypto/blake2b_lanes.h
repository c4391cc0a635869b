// BLAKE2b-256 of four messages of one length at a time, a lane of a vector register each: no
// library in the distribution does it, and every byte of every blob is hashed. Internal to
// blob_hash.cpp; compared with libsodium in crypto_test.cpp. RFC 7693.
#pragma once

#include <array>

#include "base/bytes.h"
#include "base/ids.h"

namespace fedmesh::crypto {

inline constexpr std::size_t kBlake2bLanes = 4;
inline constexpr std::size_t kBlake2bBlock = 128;

// The digests of prefix ‖ message. The prefix is shorter than a block; the messages are equally
// long and at least a block.
std::array<Digest, kBlake2bLanes> blake2b_lanes(
    ByteView prefix, const std::array<ByteView, kBlake2bLanes>& messages);

}  // namespace fedmesh::crypto
