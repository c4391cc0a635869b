// SHA-256's compression with the processor's own instructions: libsodium has none, and a model's
// digest is of every byte of it. Internal to digest.cpp; compared with libsodium in
// crypto_test.cpp.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

namespace fedmesh::crypto {

using Sha256Words = std::array<std::uint32_t, 8>;  // the state a to h

bool has_sha256_instructions();  // false: compress_sha256() must not be called
// `blocks` of 64 bytes.
void compress_sha256(Sha256Words& state, const std::uint8_t* data, std::size_t blocks);

}  // namespace fedmesh::crypto
