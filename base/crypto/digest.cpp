#include "base/crypto/digest.h"

#include <sodium.h>

#include <algorithm>

#include "base/check.h"
#include "base/crypto/libcrypto.h"

namespace fedmesh::crypto {

Digest blake2b(ByteView message) {
  Digest out;
  crypto_generichash(out.bytes.data(), out.bytes.size(), message.data(), message.size(), nullptr,
                     0);
  return out;
}

Digest sha256(ByteView message) { return Sha256().add(message).finish(); }

NodeId node_id_of(ByteView public_key) { return NodeId{sha256(public_key).bytes}; }

struct Blake2b::State {
  crypto_generichash_state state;
};

Blake2b::Blake2b() : state_(std::make_unique<State>()) {
  crypto_generichash_init(&state_->state, nullptr, 0, Digest::kSize);
}

Blake2b::Blake2b(std::string_view domain) : Blake2b() { add_sized(as_bytes(domain)); }

Blake2b::Blake2b(const Blake2b& other) : state_(std::make_unique<State>(*other.state_)) {}

Blake2b::~Blake2b() { sodium_memzero(state_.get(), sizeof(State)); }

Blake2b& Blake2b::add(ByteView bytes) {
  crypto_generichash_update(&state_->state, bytes.data(), bytes.size());
  return *this;
}

Blake2b& Blake2b::add_sized(ByteView bytes) { return add_u64(bytes.size()).add(bytes); }

Blake2b& Blake2b::add_u64(std::uint64_t value) {
  std::array<std::uint8_t, 8> raw;
  store_le64(raw, value);
  return add(ByteView(raw));
}

Digest Blake2b::finish() {
  Digest out;
  crypto_generichash_final(&state_->state, out.bytes.data(), out.bytes.size());
  return out;
}

struct Sha256::State {
  struct Free {
    void operator()(EVP_MD_CTX* made) const { EVP_MD_CTX_free(made); }
  };
  std::unique_ptr<EVP_MD_CTX, Free> context{EVP_MD_CTX_new()};
};

Sha256::Sha256() : state_(std::make_unique<State>()) {
  FM_CHECK(state_->context != nullptr &&
               EVP_DigestInit_ex2(state_->context.get(), libcrypto().sha256, nullptr) == 1,
           "a digest begins");
}
Sha256::~Sha256() = default;

Sha256& Sha256::add(ByteView bytes) {
  FM_CHECK(EVP_DigestUpdate(state_->context.get(), bytes.data(), bytes.size()) == 1,
           "a digest takes bytes");
  return *this;
}

Digest Sha256::finish() {
  Digest out;
  FM_CHECK(EVP_DigestFinal_ex(state_->context.get(), out.bytes.data(), nullptr) == 1,
           "a digest ends");
  return out;
}

Hash512 blake2b_512(ByteView message) {
  Hash512 out;
  crypto_generichash(out.data(), out.size(), message.data(), message.size(), nullptr, 0);
  return out;
}

Hash512 hmac_blake2b_512(ByteView key, ByteView message) {
  static constexpr std::size_t kBlock = 128;
  std::array<std::uint8_t, kBlock> padded{};
  if (key.size() > kBlock) {
    const Hash512 shortened = blake2b_512(key);
    std::copy(shortened.begin(), shortened.end(), padded.begin());
  } else {
    std::copy(key.begin(), key.end(), padded.begin());
  }
  auto pass = [&](std::uint8_t pad, ByteView body) {
    std::array<std::uint8_t, kBlock> block;
    for (std::size_t i = 0; i < kBlock; ++i) block[i] = padded[i] ^ pad;
    crypto_generichash_state state;
    Hash512 out;
    crypto_generichash_init(&state, nullptr, 0, out.size());
    crypto_generichash_update(&state, block.data(), block.size());
    crypto_generichash_update(&state, body.data(), body.size());
    crypto_generichash_final(&state, out.data(), out.size());
    sodium_memzero(block.data(), block.size());
    return out;
  };
  const Hash512 inner = pass(0x36, message);
  const Hash512 outer = pass(0x5c, inner);
  sodium_memzero(padded.data(), padded.size());
  return outer;
}

}  // namespace fedmesh::crypto
