// The encrypted frames of one direction of an established session: a key that moves forward and a
// counter that never repeats under it. See PROTOCOL.md here.
// Not thread-safe: owned by its Session.
#pragma once

#include <cstdint>

#include "base/bytes.h"
#include "base/crypto/aead.h"
#include "base/crypto/keys.h"
#include "base/result.h"

namespace fedmesh::net {

enum class FrameType : std::uint8_t {
  data = 1,  // an application message, or the last part of one
  part = 2,  // of an application message; more follows
  ping = 3,  // 8 bytes that the pong repeats
  pong = 4,
  rekey = 5,  // empty; the last frame under its key
  close = 6,  // the reason, for people
};

struct Frame {
  FrameType type = FrameType::data;
  Bytes body;
};

class FrameCipher {
 public:
  FrameCipher(crypto::AeadSuite suite, const crypto::Secret<32>& split_key);

  Bytes seal(FrameType type, ByteView body);
  // unauthenticated: not the next frame of this direction, unchanged. corruption: not a frame.
  Result<Frame> open(ByteView bytes);

  void advance_key();  // one way: the old key cannot be computed from the new one
  std::uint64_t bytes_under_key() const { return bytes_; }

 private:
  crypto::AeadSuite suite_;
  crypto::Secret<32> key_;
  std::uint64_t counter_ = 0;
  std::uint64_t bytes_ = 0;
};

}  // namespace fedmesh::net
