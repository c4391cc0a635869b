#include "tests/sim/bulk_end.h"

#include "base/check.h"

namespace fedmesh::sim {

using net::BlobExchange;

BulkEnd::BulkEnd(World& world, const NodeId& self, Disk& disk, Callbacks callbacks)
    : world_(world), self_(self), callbacks_(std::move(callbacks)) {
  auto store = net::BlobStore::open(disk, "blobs");
  FM_CHECK(store.ok(), "the simulator's disks are sound");
  store_ = std::move(store).value();
  exchange_ = std::make_unique<BlobExchange>(*store_);
}

void BulkEnd::tick() {
  const auto wake = exchange_->next_wake();
  if (wake && *wake <= world_.now()) step(BlobExchange::Tick{});
}

void BulkEnd::step(const BlobExchange::Event& event) {
  std::deque<BlobExchange::Effect> waiting;
  const auto take = [&](BlobExchange::Effects effects) {
    for (auto& effect : effects) waiting.push_back(std::move(effect));
  };
  take(exchange_->step(world_.now(), event));
  const std::weak_ptr<int> alive = alive_;
  while (!waiting.empty()) {
    auto effect = std::move(waiting.front());
    waiting.pop_front();
    if (auto* send = std::get_if<BlobExchange::Send>(&effect)) {
      world_.send(self_, send->peer, std::move(send->bytes), Channel::bulk);
      if (send->answer) take(exchange_->step(world_.now(), BlobExchange::Taken{send->peer}));
    } else if (const auto* arrived = std::get_if<BlobExchange::Arrived>(&effect)) {
      world_.after(Duration(0), [this, alive, root = arrived->root] {
        if (!alive.expired()) callbacks_.arrived(root);
      });
    } else if (const auto* failed = std::get_if<BlobExchange::Failed>(&effect)) {
      world_.after(Duration(0), [this, alive, root = failed->root, reason = failed->reason] {
        if (!alive.expired()) callbacks_.failed(root, reason);
      });
    } else {
      world_.disconnect(self_, std::get<BlobExchange::Disconnect>(effect).peer);
    }
  }
}

}  // namespace fedmesh::sim
