// Transport over TCP with ZeroMQ 4.3.4: one ROUTER that listens and one DEALER for each dialled
// peer, ZeroMQ's NULL mechanism, FM1 sessions inside. See PROTOCOL.md here.
//
// One link per peer:
// 1. A fresh authenticated link replaces the older one of the same node.
//    Rationale: whoever holds the key now is the node now; a crashed peer that comes back must not
//    wait until its dead link is noticed.
// 2. If the two were dialled from opposite sides within LinkLimits::handshake, the one dialled by
//    the lower node id stays.
//    Rationale: both sides must throw away the same one of two that cross.
// A link that lived shorter than kStable does not reset its endpoint's back-off, so two processes
// with the same key take turns slowly instead of fighting.
//
// Not thread-safe except wake(): owned by the loop thread.
#pragma once

#include <memory>
#include <string>

#include "base/clock.h"
#include "base/crypto/keys.h"
#include "base/random.h"
#include "net/link.h"
#include "net/session.h"
#include "net/transport.h"

namespace fedmesh::net {

std::string library_version();  // "libzmq 4.3.4": what runs, not what was compiled against

struct ZmqConfig {
  SessionConfig session;
  LinkLimits link;
  Duration redial_min = std::chrono::milliseconds(200);
  Duration redial_max = std::chrono::seconds(15);
  int frames_buffered = 64;         // of up to 256 KiB, in ZeroMQ, each way, per connection
  std::size_t accepted_max = 1024;  // connections, peers included
  std::size_t accepted_per_address_max = 512;
  std::size_t half_open_before_cookies = 64;  // from here on strangers must echo a cookie,
  std::size_t half_open_max = 256;            // and from here on they are turned away
};

class ZmqTransport final : public Transport {
 public:
  // `clock` and `random` outlive the transport. Raises the process's soft limit of open files.
  ZmqTransport(crypto::SigningKey identity, const ZmqConfig& config, const Clock& clock,
               SecureRandom& random);
  ~ZmqTransport() override;  // what is queued is lost

  NodeId self() const override;
  Result<void> listen(const std::string& endpoint) override;
  std::optional<std::string> bound_endpoint() const override;
  Result<void> dial(const std::string& endpoint, std::optional<NodeId> expected = {}) override;
  void forget(const std::string& endpoint) override;
  Result<void> send(const NodeId& peer, Bytes message) override;
  void disconnect(const NodeId& peer, const std::string& reason) override;
  std::vector<PeerEvent> poll(Duration timeout) override;
  void wake() override;
  TransportStats stats() const override;
  std::optional<PeerStats> stats_of(const NodeId& peer) const override;

 private:
  class Core;
  std::unique_ptr<Core> core_;
};

}  // namespace fedmesh::net
