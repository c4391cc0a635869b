// Bulk data on its own thread and its own connections: a transport, a BlobExchange and the store
// that the rest of the node shares with it. Control messages never wait behind a blob.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <variant>

#include "base/clock.h"
#include "base/crypto/keys.h"
#include "base/ids.h"
#include "base/random.h"
#include "base/result.h"
#include "net/blob_exchange.h"
#include "net/blob_store.h"
#include "net/zmq_transport.h"

namespace fedmesh::net {

namespace bulk {
struct Arrived {
  Digest root;  // the store holds it
};
struct Failed {  // the want is over; see BlobExchange::Failed
  Digest root;
  Error reason;
};
struct PeerUp {
  NodeId peer;
  std::string endpoint;  // where it claims to listen for bulk connections; may be empty
};
struct PeerDown {
  NodeId peer;
  std::string reason;
};
struct DialFailed {  // it is dialled again
  std::string endpoint;
  std::string reason;
};
}  // namespace bulk
using BulkEvent =
    std::variant<bulk::Arrived, bulk::Failed, bulk::PeerUp, bulk::PeerDown, bulk::DialFailed>;

struct BulkConfig {
  BulkConfig();  // small queues: bytes wait on the disk, not in memory
  ZmqConfig zmq;
  ExchangeLimits exchange;
};

// Thread-safe. What the callbacks do must be short: links wait meanwhile. They may call everything
// but stop().
class BulkPlane {
 public:
  using OnEvent = std::function<void(const BulkEvent&)>;  // called on its thread
  using MayFetch = std::function<bool(const NodeId&)>;    // called on its thread; who is served

  // `store`, `clock` and `random` (used on its thread only) outlive the plane.
  static std::unique_ptr<BulkPlane> create(crypto::SigningKey key, BlobStore& store,
                                           const BulkConfig& config, const Clock& clock,
                                           SecureRandom& random, OnEvent on_event,
                                           MayFetch may_fetch);
  ~BulkPlane();  // stop()

  Result<std::string> listen(const std::string& endpoint);  // returns host:port with the real port
  Result<void> dial(const std::string& endpoint, std::optional<NodeId> expected = {});
  void forget(const std::string& endpoint);  // stops redialling; a live link stays
  void disconnect(const NodeId& peer, const std::string& reason);

  // Fetches it until it Arrived, Failed or is forgotten. `holders` empty: from any linked peer.
  void want(const Digest& root, std::uint64_t bytes_max, std::set<NodeId> holders = {},
            Flush flush = Flush::yes);
  void forget(const Digest& root);

  std::set<NodeId> peers() const;  // linked now
  void stop();                     // joins its thread; no callback afterwards

 private:
  class Impl;
  explicit BulkPlane(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace fedmesh::net
