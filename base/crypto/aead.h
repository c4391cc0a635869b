// Authenticated encryption with associated data, and a raw keystream for reproducible expansion.
#pragma once

#include <cstdint>

#include "base/bytes.h"
#include "base/crypto/keys.h"
#include "base/result.h"

namespace fedmesh::crypto {

enum class AeadSuite : std::uint8_t {
  chacha20_poly1305 = 1,  // RFC 8439, nonce = 4 zero bytes ‖ le64(counter)
  aes256_gcm = 2,         // nonce = 4 zero bytes ‖ be64(counter); only where the processor has it
};

inline constexpr std::size_t kAeadTagBytes = 16;

bool aes256_gcm_available();  // after initialise()

// Ciphertext is plaintext.size() + kAeadTagBytes long. A counter is used once per key.
Bytes aead_encrypt(AeadSuite suite, const Secret<32>& key, std::uint64_t counter,
                   ByteView associated, ByteView plaintext);
// unauthenticated: any bit of key, counter, associated data or ciphertext differs.
Result<Bytes> aead_decrypt(AeadSuite suite, const Secret<32>& key, std::uint64_t counter,
                           ByteView associated, ByteView ciphertext);

// The same into memory of the caller: out.size() is that of the result (checked). What a failed
// decryption leaves there is zeros.
void aead_encrypt_to(MutableByteView out, AeadSuite suite, const Secret<32>& key,
                     std::uint64_t counter, ByteView associated, ByteView plaintext);
Result<void> aead_decrypt_to(MutableByteView out, AeadSuite suite, const Secret<32>& key,
                             std::uint64_t counter, ByteView associated, ByteView ciphertext);

// ChaCha20 (RFC 8439 block function, libsodium's 64-bit nonce form with nonce = le64(stream)):
// fills `out` with keystream bytes that begin at 64-byte block `first_block`.
void chacha20_stream(ByteView key32, std::uint64_t stream, std::uint64_t first_block,
                     MutableByteView out);

}  // namespace fedmesh::crypto
