// What peers say inside a session: coordinator/protocol/messages.h.
#include "coordinator/protocol/messages.h"
#include "tests/fuzz/target.h"

namespace fedmesh {
namespace {
const bool kDeclared = fuzz::declare_alternatives<protocol::Message>();
}  // namespace
}  // namespace fedmesh

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace fedmesh;
  const ByteView bytes(data, size);
  const auto message = protocol::decode_message(bytes);
  if (!message.ok()) return 0;
  FM_CHECK(std::ranges::equal(protocol::encode_message(*message), bytes),
           "a decoded message encodes to other bytes");
  fuzz::accepted(message->index());
  return 0;
}
