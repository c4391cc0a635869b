// Identifiers as types: a RoundNumber cannot be a Height, a NodeId cannot be a Digest.
#pragma once

#include <array>
#include <compare>
#include <cstdint>
#include <functional>
#include <string>
#include <string_view>

#include "base/bytes.h"
#include "base/result.h"

namespace fedmesh {

// 32 bytes with a meaning. Ordered lexicographically; that order is the "id order" of every
// protocol.
template <class Tag>
struct Id {
  static constexpr std::size_t kSize = 32;
  std::array<std::uint8_t, kSize> bytes{};

  friend auto operator<=>(const Id&, const Id&) = default;
  ByteView view() const { return bytes; }
  bool is_zero() const { return *this == Id{}; }
  std::string hex() const { return to_hex(bytes); }
  std::string short_hex() const { return to_hex(view().first(4)); }  // for people, not for look-ups

  static Result<Id> from_bytes(ByteView raw) {
    if (raw.size() != kSize) return invalid_argument("an id has 32 bytes");
    Id id;
    for (std::size_t i = 0; i < kSize; ++i) id.bytes[i] = raw[i];
    return id;
  }
  static Result<Id> from_hex(std::string_view text) {
    FM_TRY(const Bytes raw, fedmesh::from_hex(text));
    if (raw.size() != kSize) return invalid_argument("an id has 64 hex digits");
    return from_bytes(raw);
  }
};

using Digest = Id<struct DigestTag>;  // output of a hash
using NodeId = Id<struct NodeTag>;    // sha256 of an Ed25519 public key
using JobId = Id<struct JobTag>;      // hash of the job record
using ChainId = Id<struct ChainTag>;  // hash of the genesis

template <class Tag>
struct Number {
  std::uint64_t value = 0;

  friend auto operator<=>(const Number&, const Number&) = default;
  Number next() const { return {value + 1}; }
};

using RoundNumber = Number<struct RoundTag>;  // 0, 1, ... within a job
using Attempt = Number<struct AttemptTag>;    // 0, 1, ... within a round
using Height = Number<struct HeightTag>;      // of a block; genesis is 0

}  // namespace fedmesh

template <class Tag>
struct std::hash<fedmesh::Id<Tag>> {
  std::size_t operator()(const fedmesh::Id<Tag>& id) const {
    return static_cast<std::size_t>(fedmesh::load_le64(id.view()));
  }
};
