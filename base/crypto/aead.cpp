#include "base/crypto/aead.h"

#include <openssl/err.h>
#include <sodium.h>

#include <algorithm>
#include <array>
#include <limits>
#include <memory>

#include "base/check.h"
#include "base/crypto/libcrypto.h"

namespace fedmesh::crypto {
namespace {

constexpr std::size_t kInputMax = std::numeric_limits<int>::max();

// Its memory is wiped when it is freed.
struct FreeContext {
  void operator()(EVP_CIPHER_CTX* context) const { EVP_CIPHER_CTX_free(context); }
};
using Context = std::unique_ptr<EVP_CIPHER_CTX, FreeContext>;

std::array<std::uint8_t, 12> nonce_for(AeadSuite suite, std::uint64_t counter) {
  std::array<std::uint8_t, 12> nonce{};
  store_le64(MutableByteView(nonce).subspan(4), counter);
  if (suite == AeadSuite::aes256_gcm) std::reverse(nonce.begin() + 4, nonce.end());
  return nonce;
}

enum Direction : int { kDecrypt = 0, kEncrypt = 1 };

// Ready for the text: both suites have 32-byte keys, 12-byte nonces and 16-byte tags.
Context begin(Direction direction, AeadSuite suite, const Secret<32>& key, std::uint64_t counter,
              ByteView associated) {
  const EVP_CIPHER* cipher =
      suite == AeadSuite::aes256_gcm ? libcrypto().aes256_gcm : libcrypto().chacha20_poly1305;
  const auto nonce = nonce_for(suite, counter);
  Context context(EVP_CIPHER_CTX_new());
  FM_CHECK(context != nullptr, "there is memory for a cipher");
  FM_CHECK(EVP_CipherInit_ex2(context.get(), cipher, key.view().data(), nonce.data(), direction,
                              nullptr) == 1,
           "a cipher takes its key");
  FM_CHECK(associated.size() <= kInputMax, "associated data are short");
  int size = 0;
  if (!associated.empty())
    FM_CHECK(EVP_CipherUpdate(context.get(), nullptr, &size, associated.data(),
                              static_cast<int>(associated.size())) == 1,
             "a cipher takes associated data");
  return context;
}

void transform(EVP_CIPHER_CTX* context, MutableByteView out, ByteView in) {
  FM_CHECK(in.size() <= kInputMax, "messages are below 2 GiB");
  int size = 0;
  if (in.empty()) return;  // a null pointer would mean something else
  FM_CHECK(
      EVP_CipherUpdate(context, out.data(), &size, in.data(), static_cast<int>(in.size())) == 1 &&
          static_cast<std::size_t>(size) == in.size(),
      "a stream cipher keeps the length");
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
  const Context context = begin(kEncrypt, suite, key, counter, associated);
  transform(context.get(), out.first(plaintext.size()), plaintext);
  std::uint8_t* tag = out.data() + plaintext.size();
  int size = 0;
  FM_CHECK(EVP_CipherFinal_ex(context.get(), tag, &size) == 1 && size == 0 &&
               EVP_CIPHER_CTX_ctrl(context.get(), EVP_CTRL_AEAD_GET_TAG, kAeadTagBytes, tag) == 1,
           "encryption does not fail");
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
  const Context context = begin(kDecrypt, suite, key, counter, associated);
  transform(context.get(), out, ciphertext.first(out.size()));
  std::array<std::uint8_t, kAeadTagBytes> tag;
  std::copy(ciphertext.end() - kAeadTagBytes, ciphertext.end(), tag.begin());
  FM_CHECK(
      EVP_CIPHER_CTX_ctrl(context.get(), EVP_CTRL_AEAD_SET_TAG, kAeadTagBytes, tag.data()) == 1,
      "a cipher takes the tag");
  std::uint8_t none = 0;
  int size = 0;
  if (EVP_CipherFinal_ex(context.get(), &none, &size) == 1) return {};
  ERR_clear_error();
  std::fill(out.begin(), out.end(), std::uint8_t{0});
  return unauthenticated("ciphertext does not authenticate");
}

void chacha20_stream(ByteView key32, std::uint64_t stream, std::uint64_t first_block,
                     MutableByteView out) {
  FM_CHECK(key32.size() == 32, "a ChaCha20 key has 32 bytes");
  if (out.empty()) return;  // libsodium takes no null pointer
  std::array<std::uint8_t, 8> nonce;
  store_le64(nonce, stream);
  std::fill(out.begin(), out.end(), std::uint8_t{0});
  crypto_stream_chacha20_xor_ic(out.data(), out.data(), out.size(), nonce.data(), first_block,
                                key32.data());
}

}  // namespace fedmesh::crypto
