// Stateless cookies: while many handshakes are half open, a responder keeps nothing for a stranger
// until it has echoed a cookie that only its own address and ephemeral key could have been given.
#pragma once

#include <array>
#include <cstdint>
#include <string_view>

#include "base/bytes.h"
#include "base/clock.h"
#include "base/crypto/keys.h"
#include "base/random.h"

namespace fedmesh::net {

using Cookie = std::array<std::uint8_t, 32>;

// The secret changes every kLifetime and the one before stays valid, so a cookie lives between one
// and two lifetimes. Not thread-safe: owned by the loop thread.
class CookieGate {
 public:
  static constexpr Duration kLifetime = std::chrono::seconds(30);

  CookieGate(SecureRandom& random, Instant now);
  void rotate(SecureRandom& random, Instant now);  // call now and then; cheap

  Cookie mint(std::string_view address, const crypto::X25519Public& ephemeral) const;
  bool accepts(std::string_view address, const crypto::X25519Public& ephemeral,
               ByteView cookie) const;

 private:
  crypto::Secret<32> current_;
  crypto::Secret<32> previous_;
  Instant since_;
};

}  // namespace fedmesh::net
