// What a peer says about itself inside the encrypted handshake: our side completes the handshake by
// hand with any payload, properly encrypted and, where it has the form, signed.
#include "tests/fuzz/net_peer.h"
#include "tests/fuzz/target.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace fedmesh;
  fuzz::HandMadePeer peer;
  const auto output = peer.introduce({data, size});
  FM_CHECK(output.ok() == peer.node().established(), "a session stands without an introduction");
  if (!output.ok()) return 0;
  FM_CHECK(peer.node().peer().endpoint.size() <= 255, "an endpoint is longer than allowed");
  (void)peer.node().seal(Bytes(100, 1), fuzz::kNetNow).ok();
  fuzz::accepted();
  return 0;
}
