// Seeds of sessions: handshakes as honest peers lead them, and frames under their keys.
#include "tests/fuzz/corpus.h"
#include "tests/fuzz/net_peer.h"
#include "tests/fuzz/target.h"

namespace fedmesh::fuzz {
namespace {

using net::Session;

// Everything that `peer` says to `node`, as chunks. Ends when both have said all.
Bytes recorded(Session& peer, Session& node, std::vector<Bytes> to_node) {
  Bytes out;
  while (!to_node.empty()) {
    std::vector<Bytes> answers;
    for (const Bytes& message : to_node) {
      append(out, chunk(message));
      auto output = node.receive(message, kNetNow);
      FM_CHECK(output.ok(), "honest peers understand each other");
      for (Bytes& answer : output->send) answers.push_back(std::move(answer));
    }
    to_node.clear();
    for (const Bytes& answer : answers) {
      auto output = peer.receive(answer, kNetNow);
      FM_CHECK(output.ok(), "honest peers understand each other");
      for (Bytes& next : output->send) to_node.push_back(std::move(next));
    }
  }
  if (auto frames = peer.seal(Bytes{1, 2, 3}, kNetNow); frames.ok())
    for (const Bytes& frame : *frames) append(out, chunk(frame));
  return out;
}

// With a cookie the initiator goes on in a new session of the node.
Bytes guarded() {
  Session peer = honest_initiator();
  Session first = node_guarded_responder();
  const auto cookie = first.receive(peer.hello(), kNetNow);
  FM_CHECK(cookie.ok() && first.asked_for_cookie(), "a stranger is asked for a cookie");
  auto second_hello = peer.receive(cookie->send.at(0), kNetNow);
  Session second = node_guarded_responder();
  return recorded(peer, second, second_hello->send);
}

Bytes asked_for_cookie() {
  Session node = node_initiator();
  Session peer = Session(node_guarded_responder());
  return chunk(peer.receive(node.hello(), kNetNow)->send.at(0));
}

void add_sessions(Corpus& corpus) {
  Session peer = honest_initiator();
  Session node = node_responder();
  corpus.add("session", "responder", prefixed(0, recorded(peer, node, {peer.hello()})));
  corpus.add("session", "guarded", prefixed(1, guarded()));
  corpus.add("session", "asked-for-cookie", prefixed(2, asked_for_cookie()));
  Session initiator = node_initiator();
  Session responder = honest_responder();
  const auto response = responder.receive(initiator.hello(), kNetNow);
  corpus.add("session", "initiator", prefixed(2, recorded(responder, initiator, response->send)));
}

}  // namespace

void add_net_seeds(Corpus& corpus) {
  add_sessions(corpus);
  const HandMadePeer peer;
  corpus.add("introduction", "valid", codec::encode(peer.introduction()));
  const auto frame = [](net::FrameType type, ByteView body) {
    return prefixed(static_cast<std::uint8_t>(type), chunk(body));
  };
  Bytes ping(8);
  store_le64(ping, static_cast<std::uint64_t>(kNetNow.ms));
  Bytes all = frame(net::FrameType::pong, ping);
  append(all, frame(net::FrameType::part, Bytes(5, 1)));
  append(all, frame(net::FrameType::ping, ping));
  append(all, frame(net::FrameType::data, Bytes(5, 2)));
  append(all, frame(net::FrameType::rekey, {}));
  append(all, frame(net::FrameType::data, Bytes(9, 3)));
  append(all, frame(net::FrameType::close, as_bytes("done")));
  corpus.add("session_frames", "all-types", all);
  corpus.add("session_frames", "unencrypted", prefixed(200, chunk(Bytes{1, 1, 2, 3})));
}

}  // namespace fedmesh::fuzz
