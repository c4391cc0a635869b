// What of libcrypto (OpenSSL 3) this project uses: ciphers and SHA-256 that run several times as
// fast as libsodium's. Internal to base/crypto.
#pragma once

#include <openssl/evp.h>

namespace fedmesh::crypto {

// Loaded at the first call, without OpenSSL's configuration file; stops the process if libcrypto
// does not have them. Live until the process ends. Thread-safe.
struct Libcrypto {
  EVP_CIPHER* chacha20_poly1305;
  EVP_CIPHER* aes256_gcm;
  EVP_MD* sha256;
};
const Libcrypto& libcrypto();

}  // namespace fedmesh::crypto
