// Frames of a peer that holds the keys. Input: per frame its type and a chunk with its body; a type
// above 127 sends the chunk unencrypted.
#include "tests/fuzz/net_peer.h"
#include "tests/fuzz/target.h"

namespace fedmesh {
namespace {

const bool kDeclared = fuzz::declare_form(0, "a message") && fuzz::declare_form(1, "a closing") &&
                       fuzz::declare_form(2, "a ping") && fuzz::declare_form(3, "a pong") &&
                       fuzz::declare_form(4, "a message after a change of keys");

}  // namespace
}  // namespace fedmesh

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace fedmesh;
  fuzz::Input input(data, size);
  fuzz::HandMadePeer peer;
  FM_CHECK(peer.introduce(codec::encode(peer.introduction())).ok(), "an honest peer is refused");
  bool rekeyed = false;
  while (!input.empty() && !peer.node().over()) {
    const std::uint8_t type = input.byte();
    const ByteView body = input.chunk();
    const auto output =
        peer.node().receive(type > 127 ? to_bytes(body) : peer.seal(type, body), fuzz::kNetNow);
    FM_CHECK(output.ok() || peer.node().over(), "an error ends the session");
    if (!output.ok()) return 0;
    for (const Bytes& message : output->messages) {
      FM_CHECK(!message.empty() && message.size() <= fuzz::net_config().message_bytes_max,
               "a message outside its limits");
      fuzz::accepted(rekeyed ? 4 : 0);
    }
    if (output->closed) fuzz::accepted(1);
    if (!output->send.empty()) fuzz::accepted(2);
    if (output->round_trip) fuzz::accepted(3);
    rekeyed = rekeyed || type == static_cast<std::uint8_t>(net::FrameType::rekey);
  }
  return 0;
}
