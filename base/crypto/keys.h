// Key material: wiped when it goes away, never printed, never copied by accident.
#pragma once

#include <array>
#include <cstdint>
#include <filesystem>
#include <string>

#include "base/bytes.h"
#include "base/ids.h"
#include "base/random.h"
#include "base/result.h"

namespace fedmesh::crypto {

// Call once at the start of main(); stops the process if libsodium cannot be used. Thread-safe,
// idempotent.
void initialise();
std::string library_version();  // "libsodium 1.0.18, OpenSSL 3.0.19": what runs here

void wipe(MutableByteView bytes);
bool equal_constant_time(ByteView a, ByteView b);  // false for different lengths

template <std::size_t N>
class Secret {
 public:
  Secret() = default;
  explicit Secret(const std::array<std::uint8_t, N>& bytes) : bytes_(bytes) {}
  Secret(Secret&& other) noexcept : bytes_(other.bytes_) { wipe(other.bytes_); }
  Secret& operator=(Secret&& other) noexcept {
    if (this != &other) {
      bytes_ = other.bytes_;
      wipe(other.bytes_);
    }
    return *this;
  }
  Secret(const Secret&) = delete;
  Secret& operator=(const Secret&) = delete;
  ~Secret() { wipe(bytes_); }

  Secret clone() const { return Secret(bytes_); }  // a copy that somebody meant to make
  ByteView view() const { return bytes_; }
  MutableByteView mutable_view() { return bytes_; }
  static Secret random(SecureRandom& random) {
    Secret out;
    random.fill(out.bytes_);
    return out;
  }

 private:
  std::array<std::uint8_t, N> bytes_{};
};

using PublicKey = Id<struct PublicKeyTag>;        // Ed25519, RFC 8032
using X25519Public = Id<struct X25519PublicTag>;  // RFC 7748
using X25519Secret = Secret<32>;

struct Signature {
  std::array<std::uint8_t, 64> bytes{};
  friend auto operator<=>(const Signature&, const Signature&) = default;
  ByteView view() const { return bytes; }
};

// An Ed25519 identity. Moves, never copies.
class SigningKey {
 public:
  static SigningKey generate(SecureRandom& random);
  static SigningKey from_seed(const Secret<32>& seed);

  const PublicKey& public_key() const { return public_key_; }
  NodeId node_id() const { return node_id_; }
  Signature sign(ByteView message) const;
  const Secret<32>& seed() const { return seed_; }  // for the key file only
  SigningKey clone() const { return from_seed(seed_); }

 private:
  Secret<32> seed_;
  Secret<64> expanded_;
  PublicKey public_key_;
  NodeId node_id_;
};

bool verify(const PublicKey& key, ByteView message, const Signature& signature);

X25519Public x25519_public(const X25519Secret& secret);
// unauthenticated: the shared secret is all zero (a low-order point was sent).
Result<Secret<32>> x25519(const X25519Secret& secret, const X25519Public& other);

// Key files hold the 32-byte seed as hex under a header line, mode 0600.
// store: invalid_argument if the file exists. load: unauthenticated if others may read it.
Result<void> store_key(const std::filesystem::path& path, const SigningKey& key);
Result<SigningKey> load_key(const std::filesystem::path& path);
// Loads, or generates and stores where there is none.
Result<SigningKey> load_or_create_key(const std::filesystem::path& path, SecureRandom& random);

}  // namespace fedmesh::crypto
