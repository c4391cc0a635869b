#include "base/crypto/aead.h"

#include <sodium.h>

#include <algorithm>
#include <array>

#include "base/check.h"

namespace fedmesh::crypto {
namespace {

std::array<std::uint8_t, 12> nonce_for(AeadSuite suite, std::uint64_t counter) {
  std::array<std::uint8_t, 12> nonce{};
  store_le64(MutableByteView(nonce).subspan(4), counter);
  if (suite == AeadSuite::aes256_gcm) std::reverse(nonce.begin() + 4, nonce.end());
  return nonce;
}

}  // namespace

bool aes256_gcm_available() { return crypto_aead_aes256gcm_is_available() == 1; }

Bytes aead_encrypt(AeadSuite suite, const Secret<32>& key, std::uint64_t counter,
                   ByteView associated, ByteView plaintext) {
  Bytes out(plaintext.size() + kAeadTagBytes);
  aead_encrypt_to(out, suite, key, counter, associated, plaintext);
  return out;
}

void aead_encrypt_to(MutableByteView out, AeadSuite suite, const Secret<32>& key,
                     std::uint64_t counter, ByteView associated, ByteView plaintext) {
  FM_CHECK(out.size() == plaintext.size() + kAeadTagBytes, "room for the ciphertext");
  const auto nonce = nonce_for(suite, counter);
  unsigned long long size = 0;
  const auto call = suite == AeadSuite::aes256_gcm ? crypto_aead_aes256gcm_encrypt
                                                   : crypto_aead_chacha20poly1305_ietf_encrypt;
  const int status = call(out.data(), &size, plaintext.data(), plaintext.size(), associated.data(),
                          associated.size(), nullptr, nonce.data(), key.view().data());
  FM_CHECK(status == 0 && size == out.size(), "encryption does not fail");
}

Result<Bytes> aead_decrypt(AeadSuite suite, const Secret<32>& key, std::uint64_t counter,
                           ByteView associated, ByteView ciphertext) {
  if (ciphertext.size() < kAeadTagBytes)
    return unauthenticated("ciphertext is shorter than its tag");
  Bytes out(ciphertext.size() - kAeadTagBytes);
  FM_TRY_VOID(aead_decrypt_to(out, suite, key, counter, associated, ciphertext));
  return out;
}

Result<void> aead_decrypt_to(MutableByteView out, AeadSuite suite, const Secret<32>& key,
                             std::uint64_t counter, ByteView associated, ByteView ciphertext) {
  if (ciphertext.size() < kAeadTagBytes)
    return unauthenticated("ciphertext is shorter than its tag");
  FM_CHECK(out.size() == ciphertext.size() - kAeadTagBytes, "room for the plaintext");
  const auto nonce = nonce_for(suite, counter);
  unsigned long long size = 0;
  const auto call = suite == AeadSuite::aes256_gcm ? crypto_aead_aes256gcm_decrypt
                                                   : crypto_aead_chacha20poly1305_ietf_decrypt;
  if (call(out.data(), &size, nullptr, ciphertext.data(), ciphertext.size(), associated.data(),
           associated.size(), nonce.data(), key.view().data()) == 0)
    return {};
  std::fill(out.begin(), out.end(), std::uint8_t{0});
  return unauthenticated("ciphertext does not authenticate");
}

void chacha20_stream(ByteView key32, std::uint64_t stream, std::uint64_t first_block,
                     MutableByteView out) {
  FM_CHECK(key32.size() == 32, "a ChaCha20 key has 32 bytes");
  std::array<std::uint8_t, 8> nonce;
  store_le64(nonce, stream);
  std::fill(out.begin(), out.end(), std::uint8_t{0});
  crypto_stream_chacha20_xor_ic(out.data(), out.data(), out.size(), nonce.data(), first_block,
                                key32.data());
}

}  // namespace fedmesh::crypto
