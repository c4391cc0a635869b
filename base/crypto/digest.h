// BLAKE2b-256 (RFC 7693) for the protocol, SHA-256 (FIPS 180-4) for the ledger's trees and for what
// other tools check.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <string_view>

#include "base/bytes.h"
#include "base/ids.h"

namespace fedmesh::crypto {

Digest blake2b(ByteView message);
Digest sha256(ByteView message);
NodeId node_id_of(ByteView public_key);  // sha256(public key)

// Incremental BLAKE2b-256 that starts with a length-prefixed domain label, so that two protocols
// never hash the same bytes. Parts of variable length are added with their length. Not thread-safe.
// finish() is called once.
class Blake2b {
 public:
  Blake2b();                                  // plain, no label
  explicit Blake2b(std::string_view domain);  // le64(length) ‖ domain first
  Blake2b(const Blake2b& other);
  Blake2b& operator=(const Blake2b&) = delete;
  ~Blake2b();

  Blake2b& add(ByteView bytes);        // as they are: fixed-length parts
  Blake2b& add_sized(ByteView bytes);  // le64(length) ‖ bytes
  Blake2b& add_u64(std::uint64_t value);
  template <class Tag>
  Blake2b& add(const Id<Tag>& id) {
    return add(id.view());
  }
  template <class Tag>
  Blake2b& add(const Number<Tag>& number) {
    return add_u64(number.value);
  }
  Digest finish();

 private:
  struct State;
  std::unique_ptr<State> state_;
};

// Incremental SHA-256. Not thread-safe. finish() is called once.
class Sha256 {
 public:
  Sha256();
  ~Sha256();
  Sha256& add(ByteView bytes);
  Digest finish();

 private:
  struct State;
  std::unique_ptr<State> state_;
};

// HMAC with unkeyed BLAKE2b-512 as its hash (128-byte block), as the Noise framework needs it
// (Noise rev. 34, section 4.3), and the plain 64-byte hash beside it.
using Hash512 = std::array<std::uint8_t, 64>;
Hash512 blake2b_512(ByteView message);
Hash512 hmac_blake2b_512(ByteView key, ByteView message);

}  // namespace fedmesh::crypto
