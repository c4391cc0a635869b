#include "tests/sim/world.h"

#include <algorithm>

#include "base/check.h"

namespace fedmesh::sim {

World::World(std::uint64_t seed, const LinkModel& model) : model_(model), random_(seed) {}

void World::schedule(Instant at, std::function<void()> action) {
  queue_.push({std::max(at, now_), order_++, std::move(action)});
}

void World::after(Duration delay, std::function<void()> action) {
  schedule(now_ + delay, std::move(action));
}

Duration World::between(Duration low, Duration high) {
  const auto width = static_cast<std::uint64_t>((high - low).count()) + 1;
  return low + Duration(static_cast<std::int64_t>(random_.below(width)));
}

void World::add_hub(const NodeId& id, Factory factory) {
  hub_ = id;
  Node& node = nodes_[id];
  node.factory = std::move(factory);
  node.process = node.factory();
}

void World::add_spoke(const NodeId& id, Factory factory) {
  Node& node = nodes_[id];
  node.factory = std::move(factory);
  node.process = node.factory();
  dial_later(id);
}

void World::dial_later(const NodeId& spoke) {
  const std::uint64_t epoch = nodes_[spoke].epoch;
  after(between(model_.redial_min, model_.redial_max), [this, spoke, epoch] {
    const Node& node = nodes_[spoke];
    if (node.epoch != epoch || node.linked || !node.process) return;
    if (node.cut || !nodes_[hub_].process) return dial_later(spoke);
    establish(spoke);
  });
}

void World::establish(const NodeId& spoke) {
  Node& node = nodes_[spoke];
  node.linked = true;
  ++node.epoch;
  for (const std::size_t channel : {0, 1})
    node.last_to_hub[channel] = node.last_from_hub[channel] = now_;
  nodes_[hub_].process->link_up(spoke);
  if (node.linked && node.process) node.process->link_up(hub_);
}

void World::break_link(const NodeId& spoke) {
  Node& node = nodes_[spoke];
  if (!node.linked) return;
  node.linked = false;
  ++node.epoch;
  if (nodes_[hub_].process) nodes_[hub_].process->link_down(spoke);
  if (node.process) node.process->link_down(hub_);
  dial_later(spoke);
}

void World::send(const NodeId& from, const NodeId& to, Bytes message, Channel channel) {
  const NodeId spoke = from == hub_ ? to : from;
  Node& node = nodes_[spoke];
  if (!node.linked) return;
  if (tap_) tap_(from, to, message, channel);
  Duration delay = between(model_.latency_min, model_.latency_max);
  while (random_.below(100) < model_.loss_percent) delay += model_.retransmission;
  const auto place = static_cast<std::size_t>(channel);
  Instant& last = from == hub_ ? node.last_from_hub[place] : node.last_to_hub[place];
  last = std::max(last, now_ + delay);
  const std::uint64_t epoch = node.epoch;
  schedule(last, [this, from, to, spoke, epoch, channel, bytes = std::move(message)] {
    const Node& at = nodes_[spoke];
    if (!at.linked || at.epoch != epoch || !nodes_[to].process) return;
    nodes_[to].process->receive(from, bytes, channel);
  });
}

void World::disconnect(const NodeId& from, const NodeId& to) {
  const NodeId spoke = from == hub_ ? to : from;
  after(Duration(0), [this, spoke] { break_link(spoke); });
}

void World::crash(const NodeId& id) {
  if (id == hub_) {
    nodes_[id].process.reset();
    for (auto& [spoke, node] : nodes_)
      if (spoke != hub_) break_link(spoke);
    return;
  }
  nodes_[id].process.reset();
  break_link(id);
}

void World::restart(const NodeId& id) {
  Node& node = nodes_[id];
  FM_CHECK(!node.process, "only a crashed process is restarted");
  ++node.epoch;
  node.process = node.factory();
  if (id != hub_) dial_later(id);
}

void World::cut(const NodeId& spoke) {
  nodes_[spoke].cut = true;
  break_link(spoke);
}

void World::heal(const NodeId& spoke) { nodes_[spoke].cut = false; }

bool World::alive(const NodeId& id) const { return nodes_.at(id).process != nullptr; }

void World::tick_due() {
  for (auto& [id, node] : nodes_) {
    if (!node.process) continue;
    const auto wake = node.process->next_wake();
    if (wake && *wake <= now_) node.process->tick();
  }
}

bool World::run_until(const std::function<bool()>& done, Duration limit) {
  const Instant end = now_ + limit;
  while (!done()) {
    std::optional<Instant> next;
    if (!queue_.empty()) next = queue_.top().at;
    for (const auto& [id, node] : nodes_) {
      const auto wake = node.process ? node.process->next_wake() : std::nullopt;
      if (wake && (!next || *wake < *next)) next = wake;
    }
    if (!next || *next > end) {
      now_ = end;
      return done();
    }
    // Time never stands still for a wake-up that a tick does not clear.
    now_ = std::max(*next, now_);
    if (!queue_.empty() && queue_.top().at <= now_) {
      auto action = queue_.top().action;
      queue_.pop();
      action();
    } else {
      tick_due();
      now_ = now_ + Duration(1);
    }
    ++events_;
    if (check_) check_();
  }
  return true;
}

}  // namespace fedmesh::sim
