// One node's end of the simulated bulk plane: its blob store on a simulated disk and the exchange
// over it.
#pragma once

#include <deque>
#include <functional>
#include <memory>
#include <optional>

#include "base/disk.h"
#include "net/blob_exchange.h"
#include "net/blob_store.h"
#include "tests/sim/world.h"

namespace fedmesh::sim {

class BulkEnd {
 public:
  struct Callbacks {  // never called from within a call of this class
    std::function<void(const Digest&)> arrived;
    std::function<void(const Digest&, const Error&)> failed;
  };

  BulkEnd(World& world, const NodeId& self, Disk& disk, Callbacks callbacks);

  net::BlobStore& store() { return *store_; }
  void peer_up(const NodeId& peer) { step(net::BlobExchange::PeerUp{peer, true}); }
  void peer_down(const NodeId& peer) { step(net::BlobExchange::PeerDown{peer}); }
  void receive(const NodeId& peer, const Bytes& bytes) {
    step(net::BlobExchange::Received{peer, bytes});
  }
  void want(const Digest& root, std::uint64_t bytes_max, std::set<NodeId> holders,
            net::Flush flush) {
    step(net::BlobExchange::Want{root, bytes_max, std::move(holders), flush});
  }
  void forget(const Digest& root) { step(net::BlobExchange::Forget{root}); }
  void tick();
  std::optional<Instant> next_wake() const { return exchange_->next_wake(); }

 private:
  void step(const net::BlobExchange::Event& event);

  World& world_;
  NodeId self_;
  Callbacks callbacks_;
  std::unique_ptr<net::BlobStore> store_;
  std::unique_ptr<net::BlobExchange> exchange_;
  std::shared_ptr<int> alive_ = std::make_shared<int>(0);
};

}  // namespace fedmesh::sim
