// Frames over the pipe between worker and trainer. Input: the size of the pieces, then the stream.
#include "tests/fuzz/target.h"
#include "worker/trainer/frame.h"

namespace fedmesh {
namespace {

const bool kDeclared = fuzz::declare_known<trainer::MessageKind>();

template <class Message>
void read_as(const trainer::Frame& frame) {
  const auto message = trainer::message_of<Message>(frame);
  if (fuzz::check_canonical(message, frame.message))
    fuzz::accepted(static_cast<std::size_t>(Message::kKind));
}

void read_message(const trainer::Frame& frame) {
  switch (frame.kind) {  // no default: the compiler names the kind we forgot
    case trainer::MessageKind::ready:
      return read_as<trainer::Ready>(frame);
    case trainer::MessageKind::request:
      return read_as<trainer::Request>(frame);
    case trainer::MessageKind::response:
      return read_as<trainer::Response>(frame);
    case trainer::MessageKind::progress:
      return read_as<trainer::Progress>(frame);
  }
}

}  // namespace
}  // namespace fedmesh

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace fedmesh;
  fuzz::Input input(data, size);
  const std::size_t piece = 1 + input.byte();
  trainer::FrameReader reader;
  Bytes again;
  ByteView rest = input.rest();
  const ByteView stream = rest;
  while (!rest.empty()) {
    const std::size_t now = std::min(piece, rest.size());
    reader.feed(rest.first(now));
    rest = rest.subspan(now);
    for (;;) {
      auto frame = reader.next();
      if (!frame.ok()) {
        FM_CHECK(!reader.next().ok(), "a broken stream stays broken");
        return 0;
      }
      if (!*frame) break;
      read_message(**frame);
      append(again, trainer::encode_frame((*frame)->kind, (*frame)->message).value());
    }
  }
  FM_CHECK(std::ranges::equal(again, stream.first(std::min(again.size(), stream.size()))),
           "frames come back changed");
  FM_CHECK(!reader.empty() || again.size() == stream.size(), "bytes of the stream are lost");
  return 0;
}
