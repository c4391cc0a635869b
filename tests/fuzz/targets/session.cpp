// A session that is fed whatever comes, from its first message on. Input: which side it is, then a
// chunk per message. Recorded handshakes are in the corpus, because all keys here are fixed.
#include "net/session.h"

#include "tests/fuzz/net_peer.h"
#include "tests/fuzz/target.h"

namespace fedmesh {
namespace {

const bool kDeclared = fuzz::declare_form(0, "a responder's handshake") &&
                       fuzz::declare_form(1, "a guarded responder's handshake") &&
                       fuzz::declare_form(2, "an initiator's handshake") &&
                       fuzz::declare_form(3, "an initiator that is asked for a cookie");

net::Session session_of(std::size_t form) {
  if (form == 0) return fuzz::node_responder();
  if (form == 1) return fuzz::node_guarded_responder();
  return fuzz::node_initiator();
}

}  // namespace
}  // namespace fedmesh

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace fedmesh;
  fuzz::Input input(data, size);
  const std::size_t form = input.byte() % 3;
  net::Session session = session_of(form);
  if (form == 2) (void)session.hello();
  while (!input.empty()) {
    const bool was_over = session.over();
    const auto output = session.receive(input.chunk(), fuzz::kNetNow);
    FM_CHECK(!was_over || !output.ok(), "a session that is over goes on");
    FM_CHECK(output.ok() || session.over(), "an error ends the session");
    if (!output.ok()) continue;
    for (const Bytes& sent : output->send)
      FM_CHECK(sent.size() <= net::kWireBytesMax, "a message is too long to be sent");
    if (output->established) fuzz::accepted(form);
    if (form == 2 && !session.established() && output->send.size() == 1 &&
        output->send[0].size() > 4 && output->send[0][3] == 1)
      fuzz::accepted(3);
  }
  (void)session.farewell();
  return 0;
}
