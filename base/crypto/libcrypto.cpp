#include "base/crypto/libcrypto.h"

#include <openssl/crypto.h>

#include "base/check.h"

namespace fedmesh::crypto {

const Libcrypto& libcrypto() {
  static const Libcrypto loaded = [] {
    // A configuration file may load code from elsewhere, and a sandboxed process may not open it.
    FM_CHECK(OPENSSL_init_crypto(OPENSSL_INIT_NO_LOAD_CONFIG, nullptr) == 1, "libcrypto starts");
    const Libcrypto out{EVP_CIPHER_fetch(nullptr, "ChaCha20-Poly1305", nullptr),
                        EVP_CIPHER_fetch(nullptr, "AES-256-GCM", nullptr),
                        EVP_MD_fetch(nullptr, "SHA2-256", nullptr)};
    FM_CHECK(out.chacha20_poly1305 != nullptr && out.aes256_gcm != nullptr && out.sha256 != nullptr,
             "libcrypto has the ciphers and digests that its default provider always has");
    return out;
  }();
  return loaded;
}

}  // namespace fedmesh::crypto
