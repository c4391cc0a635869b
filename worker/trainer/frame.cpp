#include "worker/trainer/frame.h"

#include <string>

namespace fedmesh::trainer {

Result<Bytes> encode_frame(MessageKind kind, ByteView message) {
  if (message.size() >= kFrameBytesMax)
    return invalid_argument("a message of " + std::to_string(message.size()) +
                            " bytes is too long for a frame (" + std::to_string(kFrameBytesMax) +
                            ")");
  Bytes out(4);
  out.reserve(5 + message.size());
  store_le32(out, static_cast<std::uint32_t>(message.size() + 1));
  out.push_back(static_cast<std::uint8_t>(kind));
  append(out, message);
  return out;
}

void FrameReader::feed(ByteView piece) {
  if (used_ > buffer_.size() / 2) {
    buffer_.erase(buffer_.begin(), buffer_.begin() + static_cast<std::ptrdiff_t>(used_));
    used_ = 0;
  }
  append(buffer_, piece);
}

Result<std::optional<Frame>> FrameReader::next() {
  const ByteView waiting = ByteView(buffer_).subspan(used_);
  if (waiting.size() < 4) return std::optional<Frame>();
  const std::size_t length = load_le32(waiting.first(4));
  if (length == 0 || length > kFrameBytesMax)
    return corruption("a frame claims " + std::to_string(length) + " bytes; allowed are 1 to " +
                      std::to_string(kFrameBytesMax));
  if (waiting.size() >= 5 && !is_known(static_cast<MessageKind>(waiting[4])))
    return corruption("a frame has the unknown kind " + std::to_string(waiting[4]));
  if (waiting.size() < 4 + length) return std::optional<Frame>();
  Frame frame{static_cast<MessageKind>(waiting[4]), to_bytes(waiting.subspan(5, length - 1))};
  used_ += 4 + length;
  if (used_ == buffer_.size()) {
    buffer_ = {};  // gives a large message's memory back
    used_ = 0;
  }
  return std::optional<Frame>(std::move(frame));
}

}  // namespace fedmesh::trainer
