// How an update travels: encrypted once under a fresh content key, the key sealed to each member of
// the round's aggregator committee. Holders and relays see ciphertext.
//
// All randomness of the sealed keys derives from the content key: whoever holds it recomputes every
// box, so that a member sees whether another one was given a wrong key.
// The content key K and the ciphertext's root together determine the plaintext: the commitment
// covers both (update_digest()), so one pass over the ciphertext checks the whole update.
// Bytes: coordinator/rounds/PROTOCOL.md, "Sealing".
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "base/byte_source.h"
#include "base/bytes.h"
#include "base/crypto/keys.h"
#include "base/ids.h"
#include "base/result.h"
#include "coordinator/protocol/round_records.h"

namespace fedmesh::protocol {

using ContentKey = crypto::Secret<32>;

inline constexpr std::uint8_t kSealSuite = 1;
inline constexpr std::size_t kSealedChunkBytes = 64 * 1024;  // one leaf of the blob's tree
inline constexpr std::size_t kSealedPlainBytes = kSealedChunkBytes - 16;
inline constexpr std::size_t kUpdateHeaderBytes = 128;
inline constexpr std::size_t kBoxBytes = 32 + 32 + 16;

// Whose update of which round: bound into every key and every box.
struct SealContext {
  ChainId chain;
  JobId job;
  Slot slot;
  NodeId worker;
};

// What travels before the values, inside the ciphertext only.
struct UpdateHeader {
  std::uint64_t examples = 0;
  std::uint64_t values = 0;  // how many int32 follow
  std::array<std::uint8_t, 32> seed_share{};
  Digest trace_root;  // zero until public steps exist
  std::array<std::uint8_t, 32> salt{};

  UpdateHeader() = default;
  UpdateHeader(const UpdateHeader&) = default;
  UpdateHeader& operator=(const UpdateHeader&) = default;
  ~UpdateHeader() {
    crypto::wipe(seed_share);
    crypto::wipe(salt);
  }
};

// Of the ciphertext of so many values.
std::uint64_t sealed_bytes(std::uint64_t values);

// `values` are header.values int32, little-endian. A key is used once.
Bytes seal_update(const ContentKey& key, const UpdateHeader& header, ByteView values);

// H("fedmesh/update/v2" ‖ ciphertext root ‖ length ‖ K): what the commitment says of the update.
Digest update_digest(const Digest& ciphertext_root, std::uint64_t length, const ContentKey& key);

// Reads a sealed update chunk by chunk, with memory for one. `source` outlives it; its bytes are
// those of the blob. Not thread-safe.
class SealedUpdate {
 public:
  // unauthenticated: another key, or altered bytes. corruption: not a sealed update.
  static Result<SealedUpdate> open(const ByteSource& source, const ContentKey& key);
  SealedUpdate(SealedUpdate&&) = default;
  ~SealedUpdate();

  const UpdateHeader& header() const { return header_; }
  std::uint64_t chunks() const { return chunks_; }
  // The values of chunk `index`, which begin at first_value(index) of the vector. Valid until the
  // next call; wiped with this object.
  Result<std::span<const std::int32_t>> chunk(std::uint64_t index);
  static std::uint64_t first_value(std::uint64_t index);

 private:
  SealedUpdate(const ByteSource& source, ContentKey key, std::uint64_t chunks)
      : source_(&source), key_(std::move(key)), chunks_(chunks) {}
  Result<void> decrypt(std::uint64_t index);

  const ByteSource* source_;
  ContentKey key_;
  std::uint64_t chunks_;
  UpdateHeader header_;
  Bytes ciphertext_;
  std::vector<std::int32_t> plain_;    // the header counts as values here
  std::optional<std::uint64_t> held_;  // which chunk that is
};

// K for one member. unauthenticated: the member's key is of low order.
Result<SealedKey> seal_key(const ContentKey& key, const SealContext& context, const NodeId& member,
                           const crypto::X25519Public& round_key, const Digest& ciphertext_root);
// `round_key` is the public half of `round_secret`. unauthenticated: not sealed to this key, for
// this update.
Result<ContentKey> open_key(const crypto::X25519Secret& round_secret,
                            const crypto::X25519Public& round_key, const SealContext& context,
                            const SealedKey& sealed, const Digest& ciphertext_root);
// Whether the box that gave `key` is seal_key()'s, byte for byte: all of it follows from the key,
// which open_key() authenticated, and from the ephemeral key, which is derived here.
bool is_box_of(const ContentKey& key, const SealContext& context,
               const crypto::X25519Public& round_key, const SealedKey& opened,
               const Digest& ciphertext_root);

// Whether a key that a member announces can be sealed to: not of low order, not zero.
bool is_usable_round_key(const crypto::X25519Public& key);

}  // namespace fedmesh::protocol
