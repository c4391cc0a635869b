// Noise_XX_25519_ChaChaPoly_BLAKE2b (The Noise Protocol Framework, revision 34): the symmetric
// state and the handshake of the one pattern we use. Session is built on it.
// Not thread-safe.
#pragma once

#include <cstdint>
#include <optional>
#include <utility>

#include "base/bytes.h"
#include "base/crypto/aead.h"
#include "base/crypto/digest.h"
#include "base/crypto/keys.h"
#include "base/result.h"

namespace fedmesh::net {

// Section 5.1: a key and the next nonce. Without a key, text passes unencrypted.
class CipherState {
 public:
  void set_key(crypto::Secret<32> key);
  bool has_key() const { return key_.has_value(); }
  Bytes encrypt(ByteView associated, ByteView plaintext);
  Result<Bytes> decrypt(ByteView associated, ByteView ciphertext);

 private:
  std::optional<crypto::Secret<32>> key_;
  std::uint64_t nonce_ = 0;
};

// Section 5.2: the chaining key and the transcript hash.
class SymmetricState {
 public:
  SymmetricState();
  void mix_key(ByteView material);
  void mix_hash(ByteView data);
  Bytes encrypt_and_hash(ByteView plaintext);
  Result<Bytes> decrypt_and_hash(ByteView ciphertext);
  // Of the initiator, of the responder.
  std::pair<crypto::Secret<32>, crypto::Secret<32>> split() const;

  bool has_key() const { return cipher_.has_key(); }
  const crypto::Hash512& hash() const { return hash_; }

 private:
  crypto::Secret<64> chaining_key_;
  crypto::Hash512 hash_;
  CipherState cipher_;
};

// Section 5.3 for pattern XX. Each message is made of its keys and then its payload, in two calls,
// so that the payload can sign the hash in between:
//     I -> R: e      R -> I: e, ee, s, es      I -> R: s, se
// Calls out of turn are defects of the caller. After an error the handshake is useless.
class NoiseXX {
 public:
  enum class Role { initiator, responder };

  NoiseXX(Role role, ByteView prologue, const crypto::X25519Secret& static_secret,
          crypto::X25519Secret ephemeral);

  Result<Bytes> write_keys();  // unauthenticated: the other side's key is of low order
  Bytes write_payload(ByteView payload);
  Result<std::size_t> read_keys(ByteView message);  // how many bytes of it they took
  Result<Bytes> read_payload(ByteView rest);

  bool done() const { return message_ == 3; }
  const crypto::Hash512& hash() const { return symmetric_.hash(); }
  const crypto::X25519Public& remote_static() const { return remote_static_; }
  // After done(): the keys of the initiator's and of the responder's direction.
  std::pair<crypto::Secret<32>, crypto::Secret<32>> split() const;

 private:
  enum class Token { e, s, ee, es, se };
  std::span<const Token> tokens() const;
  bool writes() const;
  Result<void> mix_dh(Token token);

  Role role_;
  SymmetricState symmetric_;
  crypto::X25519Secret static_;
  crypto::X25519Secret ephemeral_;
  crypto::X25519Public remote_static_;
  crypto::X25519Public remote_ephemeral_;
  int message_ = 0;         // 0, 1, 2, then done
  bool keys_done_ = false;  // of this message
};

}  // namespace fedmesh::net
