#include "base/crypto/keys.h"

#include <fcntl.h>
#include <openssl/crypto.h>
#include <sodium.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "base/check.h"
#include "base/crypto/digest.h"

namespace fedmesh::crypto {
namespace {

constexpr std::string_view kKeyHeader = "fedmesh-ed25519-v1\n";

Error system_error(const std::filesystem::path& path, const char* what) {
  const std::string detail = std::string(what) + " " + path.string() + ": " + std::strerror(errno);
  return errno == ENOENT ? not_found(detail) : unavailable(detail);
}

struct FileDescriptor {
  int value = -1;
  ~FileDescriptor() {
    if (value >= 0) ::close(value);
  }
};

}  // namespace

void initialise() { FM_CHECK(sodium_init() >= 0, "libsodium does not initialise"); }

std::string library_version() {
  return std::string("libsodium ") + sodium_version_string() + ", OpenSSL " +
         OpenSSL_version(OPENSSL_VERSION_STRING);
}

void wipe(MutableByteView bytes) { sodium_memzero(bytes.data(), bytes.size()); }

bool equal_constant_time(ByteView a, ByteView b) {
  return a.size() == b.size() && sodium_memcmp(a.data(), b.data(), a.size()) == 0;
}

SigningKey SigningKey::generate(SecureRandom& random) {
  return from_seed(Secret<32>::random(random));
}

SigningKey SigningKey::from_seed(const Secret<32>& seed) {
  SigningKey key;
  key.seed_ = seed.clone();
  crypto_sign_seed_keypair(key.public_key_.bytes.data(), key.expanded_.mutable_view().data(),
                           seed.view().data());
  key.node_id_ = node_id_of(key.public_key_.view());
  return key;
}

Signature SigningKey::sign(ByteView message) const {
  Signature out;
  crypto_sign_detached(out.bytes.data(), nullptr, message.data(), message.size(),
                       expanded_.view().data());
  return out;
}

bool verify(const PublicKey& key, ByteView message, const Signature& signature) {
  return crypto_sign_verify_detached(signature.bytes.data(), message.data(), message.size(),
                                     key.bytes.data()) == 0;
}

X25519Public x25519_public(const X25519Secret& secret) {
  X25519Public out;
  crypto_scalarmult_base(out.bytes.data(), secret.view().data());
  return out;
}

Result<Secret<32>> x25519(const X25519Secret& secret, const X25519Public& other) {
  Secret<32> shared;
  if (crypto_scalarmult(shared.mutable_view().data(), secret.view().data(), other.bytes.data()) !=
      0)
    return unauthenticated("the other side sent a key of low order");
  return shared;
}

Result<void> store_key(const std::filesystem::path& path, const SigningKey& key) {
  if (path.has_parent_path()) {
    std::error_code error;
    std::filesystem::create_directories(path.parent_path(), error);
    if (error) return unavailable("create " + path.parent_path().string() + ": " + error.message());
  }
  FileDescriptor file{::open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600)};
  if (file.value < 0) {
    if (errno == EEXIST)
      return invalid_argument("key file " + path.string() + " exists; it is never overwritten");
    return system_error(path, "create key file");
  }
  std::string text(kKeyHeader);
  text += to_hex(key.seed().view()) + "\n";
  const bool written =
      ::write(file.value, text.data(), text.size()) == static_cast<ssize_t>(text.size()) &&
      ::fsync(file.value) == 0;
  wipe({reinterpret_cast<std::uint8_t*>(text.data()), text.size()});
  if (!written) {
    const Error error = system_error(path, "write key file");
    ::unlink(path.c_str());
    return error;
  }
  return {};
}

Result<SigningKey> load_key(const std::filesystem::path& path) {
  FileDescriptor file{::open(path.c_str(), O_RDONLY | O_CLOEXEC)};
  if (file.value < 0) return system_error(path, "open key file");
  struct stat status {};
  if (::fstat(file.value, &status) != 0) return system_error(path, "stat key file");
  if (!S_ISREG(status.st_mode)) return invalid_argument(path.string() + " is not a regular file");
  if ((status.st_mode & 0077) != 0)
    return unauthenticated("key file " + path.string() + " can be read by others; run: chmod 600 " +
                           path.string());
  std::array<char, 128> buffer{};
  const ssize_t size = ::read(file.value, buffer.data(), buffer.size());
  if (size < 0) return system_error(path, "read key file");
  const std::string_view text(buffer.data(), static_cast<std::size_t>(size));
  const std::size_t wanted = kKeyHeader.size() + 64;
  const bool shaped = text.substr(0, kKeyHeader.size()) == kKeyHeader &&
                      (text.size() == wanted || (text.size() == wanted + 1 && text.back() == '\n'));
  auto raw = shaped ? from_hex(text.substr(kKeyHeader.size(), 64))
                    : Result<Bytes>(corruption("not a key file"));
  wipe({reinterpret_cast<std::uint8_t*>(buffer.data()), buffer.size()});
  if (!raw.ok()) return corruption(path.string() + " is not a fedmesh key file");
  Secret<32> seed;
  std::copy(raw->begin(), raw->end(), seed.mutable_view().begin());
  wipe(*raw);
  return SigningKey::from_seed(seed);
}

Result<SigningKey> load_or_create_key(const std::filesystem::path& path, SecureRandom& random) {
  auto loaded = load_key(path);
  if (loaded.ok() || loaded.error().code != ErrorCode::not_found) return loaded;
  SigningKey key = SigningKey::generate(random);
  FM_TRY_VOID(store_key(path, key));
  return key;
}

}  // namespace fedmesh::crypto
