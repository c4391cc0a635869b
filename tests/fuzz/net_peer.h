// The other side of an FM1 session, built by hand from the Noise handshake so that it can say
// inside the encryption what no honest node says. Everything is deterministic.
#pragma once

#include <optional>

#include "base/codec/codec.h"
#include "net/cookie.h"
#include "net/frames.h"
#include "net/session.h"

namespace fedmesh::fuzz {

inline constexpr Instant kNetNow{1'000'000};

// What net::Handshake sends encrypted; the wire form is net/PROTOCOL.md's.
struct Introduction {
  crypto::PublicKey identity;
  std::array<std::uint8_t, 64> signature{};
  std::uint8_t suite = 0;
  std::uint64_t capabilities = 0;
  std::uint64_t message_bytes_max = 0;
  std::string endpoint;
  FM_FIELDS(identity, signature, suite, capabilities, message_bytes_max, endpoint)
};

net::SessionConfig net_config();
const net::CookieGate& net_gate();
inline constexpr const char* kNetAddress = "192.0.2.1";

// The node under test, with the same keys every time.
net::Session node_responder();
net::Session node_guarded_responder();
net::Session node_initiator();
// Its counterpart, an honest session, for recording what one says.
net::Session honest_initiator();
net::Session honest_responder();

// An initiator by hand against node_responder().
class HandMadePeer {
 public:
  HandMadePeer();
  Introduction introduction() const;  // a valid one but for the signature
  // Sends `payload` as the encrypted part of the third message. A payload that decodes as an
  // Introduction is given the signature that belongs there first.
  Result<net::Session::Output> introduce(ByteView payload);
  Bytes seal(std::uint8_t type, ByteView body);  // after a successful introduce()
  net::Session& node() { return node_; }

 private:
  net::Session node_;
  net::NoiseXX noise_;
  Bytes third_keys_;
  crypto::Hash512 hash_;
  std::optional<net::FrameCipher> out_;
};

}  // namespace fedmesh::fuzz
