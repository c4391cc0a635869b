// Nodes with a store and an exchange on a virtual network: one thread, virtual time, one seed.
#pragma once

#include <algorithm>
#include <functional>
#include <map>
#include <queue>

#include "blob_fixture.h"
#include "net/blob_exchange.h"
#include "tests/base/power_loss_disk.h"

namespace fedmesh::net::test {

class Swarm {
 public:
  struct Node {
    NodeId id;
    PowerLossDisk disk;
    std::unique_ptr<BlobStore> store;
    std::unique_ptr<BlobExchange> exchange;
    std::vector<Digest> arrived;
    std::vector<BlobExchange::Failed> failed;
    std::map<NodeId, std::string> disconnected;  // by it, why
    std::uint64_t sent_bytes = 0;
    // What is sent instead of an answer or a request; nothing: it is never sent.
    std::function<std::optional<Bytes>(Bytes)> tamper;
    double bytes_per_ms = 100'000;
    bool reads = true;  // false: what is sent to it stays on its way
    bool serves = true;
  };

  Swarm(std::uint64_t seed, std::size_t count, const ExchangeLimits& limits = {})
      : random_(seed), limits_(limits), nodes_(count) {
    for (std::size_t i = 0; i < count; ++i) {
      nodes_[i].id = key_of("swarm " + std::to_string(i)).node_id();
      start(i);
    }
  }

  Node& operator[](std::size_t i) { return nodes_[i]; }
  const NodeId& id(std::size_t i) const { return nodes_[i].id; }
  Instant now() const { return now_; }
  SeededRandom& random() { return random_; }

  void link(std::size_t a, std::size_t b) {
    if (a == b || linked(a, b)) return;
    links_[{a, b}] = links_[{b, a}] = Link{++epoch_, 0, false, now_};
    step(a, BlobExchange::PeerUp{nodes_[b].id, nodes_[a].serves});
    step(b, BlobExchange::PeerUp{nodes_[a].id, nodes_[b].serves});
  }
  void unlink(std::size_t a, std::size_t b) {
    if (!linked(a, b)) return;
    links_.erase({a, b});
    links_.erase({b, a});
    step(a, BlobExchange::PeerDown{nodes_[b].id});
    step(b, BlobExchange::PeerDown{nodes_[a].id});
  }
  bool linked(std::size_t a, std::size_t b) const { return links_.contains({a, b}); }

  // The process ends and starts again, with the power failing in between or not.
  void restart(std::size_t node, bool power) {
    for (std::size_t other = 0; other < nodes_.size(); ++other) unlink(node, other);
    nodes_[node].exchange.reset();
    nodes_[node].store.reset();
    if (power) nodes_[node].disk.crash();
    start(node);
  }

  void want(std::size_t node, const Digest& root, std::set<NodeId> holders = {}) {
    step(node, BlobExchange::Want{root, 256u << 20, std::move(holders)});
  }

  // Until the condition holds; false if it does not within `time`.
  bool run(Duration time, const std::function<bool()>& condition) {
    const Instant until = now_ + time;
    while (!condition()) {
      Instant next = until;
      if (!flying_.empty()) next = std::min(next, flying_.top().at);
      for (const Node& node : nodes_)
        if (const auto wake = node.exchange->next_wake()) next = std::min(next, *wake);
      now_ = std::max(now_, next);
      if (now_ >= until) return condition();
      for (std::size_t i = 0; i < nodes_.size(); ++i) {
        const auto wake = nodes_[i].exchange->next_wake();
        if (wake && *wake <= now_) step(i, BlobExchange::Tick{});
      }
      if (!flying_.empty() && flying_.top().at <= now_) deliver();
      if (after_each) after_each();
    }
    return true;
  }

  void step(std::size_t node, const BlobExchange::Event& event) {
    std::vector<BlobExchange::Event> events{event};
    while (!events.empty()) {
      const BlobExchange::Event current = events.front();
      events.erase(events.begin());
      for (BlobExchange::Effect& effect : nodes_[node].exchange->step(now_, current))
        if (const auto more = apply(node, effect)) events.push_back(*more);
    }
    for (const auto& [a, b] : std::exchange(to_unlink_, {})) unlink(a, b);
  }

  std::function<void()> after_each;  // invariants
  std::size_t queued_max = 0;        // bytes on their way over one link, ever

 private:
  static constexpr std::size_t kQueueMax = 1u << 20;

  struct Link {
    std::uint64_t epoch = 0;
    std::size_t queued = 0;
    bool refused = false;
    Instant free_at;
  };
  struct Flying {
    Instant at;
    std::uint64_t order;
    std::size_t from, to;
    std::uint64_t epoch;
    Bytes bytes;
    bool operator<(const Flying& other) const {
      return std::pair(other.at, other.order) < std::pair(at, order);
    }
  };

  void start(std::size_t node) {
    auto store = BlobStore::open(nodes_[node].disk, "blobs");
    ASSERT_TRUE(store.ok());
    nodes_[node].store = std::move(store).value();
    nodes_[node].exchange = std::make_unique<BlobExchange>(*nodes_[node].store, limits_);
  }

  std::size_t index_of(const NodeId& id) const {
    return static_cast<std::size_t>(
        std::find_if(nodes_.begin(), nodes_.end(), [&](const Node& n) { return n.id == id; }) -
        nodes_.begin());
  }

  std::optional<BlobExchange::Event> apply(std::size_t node, BlobExchange::Effect& effect) {
    Node& self = nodes_[node];
    if (auto* send = std::get_if<BlobExchange::Send>(&effect)) return transmit(node, *send);
    if (const auto* one = std::get_if<BlobExchange::Arrived>(&effect)) {
      EXPECT_TRUE(self.store->holds(one->root));
      self.arrived.push_back(one->root);
    } else if (const auto* failure = std::get_if<BlobExchange::Failed>(&effect)) {
      self.failed.push_back(*failure);
    } else if (const auto* end = std::get_if<BlobExchange::Disconnect>(&effect)) {
      self.disconnected[end->peer] = end->reason;
      to_unlink_.emplace_back(node, index_of(end->peer));
    }
    return std::nullopt;
  }

  std::optional<BlobExchange::Event> transmit(std::size_t from, BlobExchange::Send& send) {
    const std::size_t to = index_of(send.peer);
    const auto link = links_.find({from, to});
    if (link == links_.end()) return std::nullopt;
    Link& line = link->second;
    if (send.answer && line.queued > 0 && line.queued + send.bytes.size() > kQueueMax) {
      line.refused = true;
      return BlobExchange::Full{send.peer};
    }
    std::optional<Bytes> bytes = std::move(send.bytes);
    if (nodes_[from].tamper) bytes = nodes_[from].tamper(std::move(*bytes));
    if (bytes) {
      const double rate = std::min(nodes_[from].bytes_per_ms, nodes_[to].bytes_per_ms);
      const auto takes = static_cast<std::int64_t>(static_cast<double>(bytes->size()) / rate);
      line.free_at = std::max(line.free_at, now_) + Duration(takes);
      line.queued += bytes->size();
      queued_max = std::max(queued_max, line.queued);
      nodes_[from].sent_bytes += bytes->size();
      const Instant at = nodes_[to].reads ? line.free_at + Duration(5) : Instant{INT64_MAX};
      flying_.push({at, ++order_, from, to, line.epoch, std::move(*bytes)});
    }
    if (send.answer) return BlobExchange::Taken{send.peer};
    return std::nullopt;
  }

  void deliver() {
    const Flying one = flying_.top();
    flying_.pop();
    const auto link = links_.find({one.from, one.to});
    if (link == links_.end() || link->second.epoch != one.epoch) return;
    link->second.queued -= one.bytes.size();
    const bool writable = link->second.refused && link->second.queued <= kQueueMax / 2;
    if (writable) link->second.refused = false;
    step(one.to, BlobExchange::Received{nodes_[one.from].id, one.bytes});
    if (writable && linked(one.from, one.to))
      step(one.from, BlobExchange::Writable{nodes_[one.to].id});
  }

  SeededRandom random_;
  ExchangeLimits limits_;
  std::deque<Node> nodes_;
  std::map<std::pair<std::size_t, std::size_t>, Link> links_;  // one for each direction
  std::vector<std::pair<std::size_t, std::size_t>> to_unlink_;
  std::priority_queue<Flying> flying_;
  Instant now_{1'000'000};
  std::uint64_t order_ = 0;
  std::uint64_t epoch_ = 0;
};

}  // namespace fedmesh::net::test
