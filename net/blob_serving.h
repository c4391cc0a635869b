// The half of the exchange that answers: one answer at a time per peer, in the order of the
// requests, each read from the store when the transport has taken the one before. Internal to
// blob_exchange.cpp. Not thread-safe.
#pragma once

#include <deque>
#include <map>
#include <memory>
#include <optional>

#include "net/blob_exchange.h"
#include "net/blob_messages.h"

namespace fedmesh::net {

class BlobServing {
 public:
  explicit BlobServing(BlobStore& store) : store_(store) {}

  void up(const NodeId& peer, bool served) { peers_[peer].served = served; }
  void admit(const NodeId& peer, bool served) {
    const auto found = peers_.find(peer);
    if (found != peers_.end()) found->second.served = served;
  }
  void down(const NodeId& peer) { peers_.erase(peer); }

  using Request = std::variant<ManifestRequest, ChunkRequest>;
  // A Send, a Disconnect or nothing is added to `effects`.
  void requested(const NodeId& peer, const Request& request, Instant now,
                 BlobExchange::Effects& effects);
  void taken(const NodeId& peer, Instant now, BlobExchange::Effects& effects);
  void full(const NodeId& peer);
  void writable(const NodeId& peer, Instant now, BlobExchange::Effects& effects);

  // Blobs that nobody asked for lately are closed, so that removed ones free their room.
  void close_idle(Instant now);
  std::size_t readers() const { return readers_.size(); }
  std::size_t to_answer() const;

 private:
  struct Peer {
    bool served = false;
    std::deque<Request> waiting;
    std::optional<Request> sending;  // with the transport, which has not said whether it took it
    bool full = false;
  };
  struct Open {
    std::unique_ptr<BlobReader> reader;
    Instant used;
  };

  void serve(const NodeId& peer, Peer& state, Instant now, BlobExchange::Effects& effects);
  // invalid_argument: no honest peer asks for that. not_found: it is answered by Missing.
  Result<Bytes> answer(const Request& request, Instant now);
  Result<BlobReader*> reader(const Digest& root, Instant now);

  BlobStore& store_;
  std::map<NodeId, Peer> peers_;
  std::map<Digest, Open> readers_;
};

}  // namespace fedmesh::net
