// Frames over a pipe: le32(length) ‖ kind byte ‖ message, the length counting kind and message.
#pragma once

#include <cstdint>
#include <optional>

#include "base/bytes.h"
#include "base/codec/codec.h"
#include "base/result.h"
#include "worker/trainer/task.h"

namespace fedmesh::trainer {

inline constexpr std::size_t kFrameBytesMax = 256u << 20;  // of kind and message

struct Frame {
  MessageKind kind = MessageKind::ready;
  Bytes message;
};

// invalid_argument: longer than kFrameBytesMax.
Result<Bytes> encode_frame(MessageKind kind, ByteView message);

template <class Message>
Result<Bytes> frame_of(const Message& message) {
  return encode_frame(Message::kKind, codec::encode(message));
}

template <class Message>
Result<Message> message_of(const Frame& frame) {
  if (frame.kind != Message::kKind) return corruption("a frame of another kind was expected");
  return codec::decode<Message>(frame.message, task_limits());
}

// Assembles frames from the pieces a pipe delivers. Its memory follows what has arrived, never what
// a length field claims. Not thread-safe.
class FrameReader {
 public:
  void feed(ByteView piece);
  // The next whole frame, if there is one. corruption (and again on every later call): a length
  // that is zero or above kFrameBytesMax, or an unknown kind.
  Result<std::optional<Frame>> next();
  bool empty() const { return buffer_.size() == used_; }  // no part of a frame is waiting

 private:
  Bytes buffer_;
  std::size_t used_ = 0;
};

}  // namespace fedmesh::trainer
