#include "coordinator/protocol/messages.h"

#include <utility>

namespace fedmesh::protocol {
namespace {

constexpr std::size_t kKinds = std::variant_size_v<Message>;

template <std::size_t I = 0>
void read_body(codec::Decoder& in, std::uint64_t kind, Message& message) {
  if constexpr (I < kKinds) {
    if (kind != I + 1) return read_body<I + 1>(in, kind, message);
    codec::read(in, message.emplace<I>());
  } else {
    in.fail(corruption("a message of an unknown kind"));
  }
}

}  // namespace

// The kind on the wire is the place in the variant, counted from one.
Bytes encode_message(const Message& message) {
  codec::Encoder out;
  out.array(2);
  out.u64(message.index() + 1);
  std::visit([&](const auto& body) { codec::write(out, body); }, message);
  return out.take();
}

Result<Message> decode_message(ByteView bytes) {
  codec::Decoder in(
      bytes,
      {.bytes = kMaxMessageBytes, .elements = 1u << 14, .blob = kMaxMessageBytes, .depth = 16});
  if (in.array() != 2) in.fail(corruption("a message is an array of kind and body"));
  const std::uint64_t kind = in.u64();
  Message message;
  if (in.ok()) read_body(in, kind, message);
  FM_TRY_VOID(in.finish());
  return message;
}

}  // namespace fedmesh::protocol
