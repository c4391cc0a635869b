// What the tests of net share: a reproducible SecureRandom, identities, and small helpers.
#pragma once

#include <gtest/gtest.h>

#include <string>
#include <string_view>

#include "base/crypto/aead.h"
#include "base/crypto/digest.h"
#include "base/crypto/keys.h"
#include "net/session.h"

namespace fedmesh::net::test {

// Public bytes under a label instead of secrets: for tests only.
class FakeRandom final : public SecureRandom {
 public:
  explicit FakeRandom(std::string_view label) : seed_(crypto::blake2b(as_bytes(label))) {}
  void fill(MutableByteView out) override {
    crypto::chacha20_stream(seed_.view(), next_++, 0, out);
  }

 private:
  Digest seed_;
  std::uint64_t next_ = 0;
};

inline crypto::SigningKey key_of(std::string_view name) {
  FakeRandom random(name);
  return crypto::SigningKey::generate(random);
}

inline ChainId network_of(std::string_view name) { return {crypto::blake2b(as_bytes(name)).bytes}; }

inline Bytes hex(std::string_view text) { return from_hex(text).value(); }

inline Bytes pattern(std::size_t size) {
  Bytes out(size);
  for (std::size_t i = 0; i < size; ++i) out[i] = static_cast<std::uint8_t>(i * 31 + i / 251);
  return out;
}

}  // namespace fedmesh::net::test
