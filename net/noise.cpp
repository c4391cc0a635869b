#include "net/noise.h"

#include <algorithm>
#include <array>

#include "base/check.h"

namespace fedmesh::net {
namespace {

using crypto::Hash512;

constexpr std::string_view kProtocolName = "Noise_XX_25519_ChaChaPoly_BLAKE2b";
constexpr crypto::AeadSuite kChaChaPoly = crypto::AeadSuite::chacha20_poly1305;

struct Hkdf2 {
  crypto::Secret<64> first;
  crypto::Secret<64> second;
};

// Section 4.3, with two outputs.
Hkdf2 hkdf(ByteView chaining_key, ByteView material) {
  const crypto::Secret<64> temporary(crypto::hmac_blake2b_512(chaining_key, material));
  const std::array<std::uint8_t, 1> one{1};
  Hkdf2 out;
  out.first = crypto::Secret<64>(crypto::hmac_blake2b_512(temporary.view(), one));
  crypto::Secret<65> input;
  std::copy(out.first.view().begin(), out.first.view().end(), input.mutable_view().begin());
  input.mutable_view()[64] = 2;
  out.second = crypto::Secret<64>(crypto::hmac_blake2b_512(temporary.view(), input.view()));
  return out;
}

// "If HASHLEN is 64, then truncates to 32 bytes."
crypto::Secret<32> truncate(const crypto::Secret<64>& from) {
  crypto::Secret<32> out;
  std::copy_n(from.view().begin(), 32, out.mutable_view().begin());
  return out;
}

}  // namespace

void CipherState::set_key(crypto::Secret<32> key) {
  key_ = std::move(key);
  nonce_ = 0;
}

Bytes CipherState::encrypt(ByteView associated, ByteView plaintext) {
  if (!key_) return to_bytes(plaintext);
  return crypto::aead_encrypt(kChaChaPoly, *key_, nonce_++, associated, plaintext);
}

Result<Bytes> CipherState::decrypt(ByteView associated, ByteView ciphertext) {
  if (!key_) return to_bytes(ciphertext);
  FM_TRY(Bytes plaintext, crypto::aead_decrypt(kChaChaPoly, *key_, nonce_, associated, ciphertext));
  ++nonce_;
  return plaintext;
}

SymmetricState::SymmetricState() : hash_{} {
  // A name of at most HASHLEN bytes is padded, not hashed.
  std::copy(kProtocolName.begin(), kProtocolName.end(), hash_.begin());
  chaining_key_ = crypto::Secret<64>(hash_);
}

void SymmetricState::mix_key(ByteView material) {
  Hkdf2 keys = hkdf(chaining_key_.view(), material);
  chaining_key_ = std::move(keys.first);
  cipher_.set_key(truncate(keys.second));
}

void SymmetricState::mix_hash(ByteView data) {
  Bytes joined = to_bytes(hash_);
  append(joined, data);
  hash_ = crypto::blake2b_512(joined);
}

Bytes SymmetricState::encrypt_and_hash(ByteView plaintext) {
  Bytes ciphertext = cipher_.encrypt(hash_, plaintext);
  mix_hash(ciphertext);
  return ciphertext;
}

Result<Bytes> SymmetricState::decrypt_and_hash(ByteView ciphertext) {
  FM_TRY(Bytes plaintext, cipher_.decrypt(hash_, ciphertext));
  mix_hash(ciphertext);
  return plaintext;
}

std::pair<crypto::Secret<32>, crypto::Secret<32>> SymmetricState::split() const {
  const Hkdf2 keys = hkdf(chaining_key_.view(), {});
  return {truncate(keys.first), truncate(keys.second)};
}

NoiseXX::NoiseXX(Role role, ByteView prologue, const crypto::X25519Secret& static_secret,
                 crypto::X25519Secret ephemeral)
    : role_(role), static_(static_secret.clone()), ephemeral_(std::move(ephemeral)) {
  symmetric_.mix_hash(prologue);
}

std::span<const NoiseXX::Token> NoiseXX::tokens() const {
  static constexpr std::array<Token, 1> kFirst{Token::e};
  static constexpr std::array<Token, 4> kSecond{Token::e, Token::ee, Token::s, Token::es};
  static constexpr std::array<Token, 2> kThird{Token::s, Token::se};
  if (message_ == 0) return kFirst;
  if (message_ == 1) return kSecond;
  return kThird;
}

bool NoiseXX::writes() const { return (message_ % 2 == 0) == (role_ == Role::initiator); }

Result<void> NoiseXX::mix_dh(Token token) {
  // The first letter is the initiator's key, the second the responder's.
  const bool initiator = role_ == Role::initiator;
  const bool ours_is_static = token == (initiator ? Token::se : Token::es);
  const bool theirs_is_static = token == (initiator ? Token::es : Token::se);
  FM_TRY(const crypto::Secret<32> shared,
         crypto::x25519(ours_is_static ? static_ : ephemeral_,
                        theirs_is_static ? remote_static_ : remote_ephemeral_));
  symmetric_.mix_key(shared.view());
  return {};
}

Result<Bytes> NoiseXX::write_keys() {
  FM_CHECK(!done() && writes() && !keys_done_, "it is not our turn to write");
  Bytes out;
  for (const Token token : tokens()) {
    if (token == Token::e) {
      const crypto::X25519Public key = crypto::x25519_public(ephemeral_);
      append(out, key.view());
      symmetric_.mix_hash(key.view());
    } else if (token == Token::s) {
      append(out, symmetric_.encrypt_and_hash(crypto::x25519_public(static_).view()));
    } else {
      FM_TRY_VOID(mix_dh(token));
    }
  }
  keys_done_ = true;
  return out;
}

Bytes NoiseXX::write_payload(ByteView payload) {
  FM_CHECK(writes() && keys_done_, "the keys of the message come before its payload");
  keys_done_ = false;
  ++message_;
  return symmetric_.encrypt_and_hash(payload);
}

Result<std::size_t> NoiseXX::read_keys(ByteView message) {
  FM_CHECK(!done() && !writes() && !keys_done_, "it is not our turn to read");
  std::size_t taken = 0;
  for (const Token token : tokens()) {
    if (token != Token::e && token != Token::s) {
      FM_TRY_VOID(mix_dh(token));
      continue;
    }
    const bool sealed = token == Token::s && symmetric_.has_key();
    const std::size_t size = 32 + (sealed ? crypto::kAeadTagBytes : 0);
    if (message.size() - taken < size)
      return unauthenticated("the handshake message is shorter than its keys");
    const ByteView part = message.subspan(taken, size);
    taken += size;
    if (token == Token::e) {
      std::copy(part.begin(), part.end(), remote_ephemeral_.bytes.begin());
      symmetric_.mix_hash(part);
    } else {
      FM_TRY(const Bytes key, symmetric_.decrypt_and_hash(part));
      std::copy(key.begin(), key.end(), remote_static_.bytes.begin());
    }
  }
  keys_done_ = true;
  return taken;
}

Result<Bytes> NoiseXX::read_payload(ByteView rest) {
  FM_CHECK(!writes() && keys_done_, "the keys of the message come before its payload");
  FM_TRY(Bytes payload, symmetric_.decrypt_and_hash(rest));
  keys_done_ = false;
  ++message_;
  return payload;
}

std::pair<crypto::Secret<32>, crypto::Secret<32>> NoiseXX::split() const {
  FM_CHECK(done(), "keys exist after the third message");
  return symmetric_.split();
}

}  // namespace fedmesh::net
