// Authenticated, encrypted links to other nodes, as a node's loop sees them. The programs use
// ZmqTransport, the simulator its own implementation. See PROTOCOL.md here.
//
// A peer is a NodeId whose key was proved in a handshake; there is at most one link to a peer at
// a time. Messages to a peer arrive once and in order while that link lives. Whatever was on its
// way when a link ended may be lost, and a new link starts from nothing: protocols above repeat
// what matters.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "base/bytes.h"
#include "base/clock.h"
#include "base/crypto/keys.h"
#include "base/ids.h"
#include "base/result.h"

namespace fedmesh::net {

inline constexpr std::size_t kMessageBytesMax = 1u << 20;  // of one application message

using LinkId = Number<struct LinkTag>;  // 1, 2, ... within a process; for logs

// What a peer said about itself in the handshake. `id` and `key` are proved, the rest is claimed.
struct PeerInfo {
  NodeId id;
  crypto::PublicKey key;
  std::uint64_t capabilities = 0;  // bits; their meaning belongs to the application
  std::string endpoint;            // host:port where it listens, or empty
};

// The peer can be sent to.
struct Connected {
  LinkId link;
  PeerInfo peer;
  bool dialled = false;  // by this node
};
// The link is gone and with it whatever was queued. Dialled peers are dialled again.
struct Disconnected {
  NodeId peer;
  std::string reason;
};
struct Received {
  NodeId peer;
  Bytes message;
};
// After send() answered `exhausted`: the queue has fallen to half of its bound.
struct Writable {
  NodeId peer;
};
struct DialFailed {
  std::string endpoint;
  std::string reason;
  std::optional<Duration> retry_in;  // none: given up, because it is this node itself
};
// Somebody who connected to us was turned away before becoming a peer.
struct Refused {
  std::string address;
  std::string reason;
};

using PeerEvent = std::variant<Connected, Disconnected, Received, Writable, DialFailed, Refused>;

struct Traffic {
  std::uint64_t bytes_up = 0;  // of encrypted frames and handshakes, without TCP and ZMTP headers
  std::uint64_t bytes_down = 0;
  std::uint64_t messages_up = 0;  // application messages
  std::uint64_t messages_down = 0;
};

struct PeerStats {
  LinkId link;
  bool dialled = false;
  Instant since;
  Traffic traffic;                     // of this link
  std::size_t queued_bytes = 0;        // waiting in our queue
  std::optional<Duration> round_trip;  // of the last answered ping
};

struct TransportStats {
  Traffic total;              // since the start, ended links and refused strangers included
  std::size_t half_open = 0;  // accepted connections that have not proved a key yet
  std::uint64_t refused = 0;
  std::uint64_t dial_failures = 0;
  std::map<NodeId, PeerStats> peers;  // the live links
};

// Not thread-safe except wake(): owned by the loop thread, which calls poll() again and again.
class Transport {
 public:
  virtual ~Transport() = default;

  virtual NodeId self() const = 0;

  // `endpoint` is host:port or [v6]:port; port 0 takes a free one. At most one listener.
  // unavailable: the address is taken or not ours. invalid_argument: not of that form.
  virtual Result<void> listen(const std::string& endpoint) = 0;
  virtual std::optional<std::string> bound_endpoint() const = 0;  // host:port, with the real port

  // Keeps a link to whoever answers there, redialling for ever with jittered exponential back-off
  // until forget(). `expected` refuses anybody else. No effect if the endpoint is dialled already.
  virtual Result<void> dial(const std::string& endpoint, std::optional<NodeId> expected = {}) = 0;
  virtual void forget(const std::string& endpoint) = 0;  // stops redialling; a live link stays

  // unavailable: not connected. exhausted: the peer's queue is full, a Writable event follows.
  // invalid_argument: empty, or longer than kMessageBytesMax or than the peer accepts.
  // ok means queued, not delivered.
  virtual Result<void> send(const NodeId& peer, Bytes message) = 0;
  bool connected(const NodeId& peer) const { return stats_of(peer).has_value(); }

  // Tells the peer why and drops the link; a Disconnected event follows. If the peer is dialled, it
  // will be dialled again: forget() first to be rid of it.
  virtual void disconnect(const NodeId& peer, const std::string& reason) = 0;

  // Waits until something happened, wake() was called or `timeout` passed. Events of one peer are
  // in order. A bounded number per call, so that a flood from outside cannot keep the loop away
  // from its timers; call again.
  virtual std::vector<PeerEvent> poll(Duration timeout) = 0;
  // Makes the current or the next poll() return at once. Thread-safe.
  virtual void wake() = 0;

  virtual TransportStats stats() const = 0;
  virtual std::optional<PeerStats> stats_of(const NodeId& peer) const = 0;  // of a live link
};

}  // namespace fedmesh::net
