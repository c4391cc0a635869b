#include "net/dialler.h"

#include <algorithm>

namespace fedmesh::net {

Dialler::Dialler(Duration min, Duration max, SecureRandom& random)
    : min_(min), max_(max), random_(&random) {}

bool Dialler::add(const std::string& endpoint, std::optional<NodeId> expected, Instant now) {
  Target target;
  target.expected = expected;
  target.next = now;
  return targets_.emplace(endpoint, target).second;
}

void Dialler::remove(const std::string& endpoint) { targets_.erase(endpoint); }

std::vector<Dialler::Attempt> Dialler::due(Instant now,
                                           const std::function<bool(const NodeId&)>& connected) {
  std::vector<Attempt> out;
  for (auto& [endpoint, target] : targets_) {
    if (!target.next || *target.next > now) continue;
    target.next.reset();
    const std::optional<NodeId>& node = target.expected ? target.expected : target.peer;
    target.set_aside = node && connected(*node);
    if (!target.set_aside) out.push_back({endpoint, target.expected});
  }
  return out;
}

void Dialler::established(const std::string& endpoint, const NodeId& peer) {
  const auto found = targets_.find(endpoint);
  if (found != targets_.end()) found->second.peer = peer;
}

std::optional<Duration> Dialler::ended(const std::string& endpoint, bool lasting, Instant now) {
  const auto found = targets_.find(endpoint);
  if (found == targets_.end()) return std::nullopt;
  Target& target = found->second;
  target.back_off =
      lasting || target.back_off == Duration(0) ? min_ : std::min(2 * target.back_off, max_);
  const Duration wait = jittered(target.back_off);
  target.next = now + wait;
  return wait;
}

void Dialler::give_up(const std::string& endpoint) {
  const auto found = targets_.find(endpoint);
  if (found != targets_.end()) found->second.next.reset();
}

void Dialler::peer_gone(const NodeId& peer, Instant now) {
  for (auto& [endpoint, target] : targets_) {
    if (!target.set_aside || (target.expected ? target.expected : target.peer) != peer) continue;
    target.set_aside = false;
    target.next = now + jittered(min_);
  }
}

std::optional<Instant> Dialler::next_deadline() const {
  std::optional<Instant> soonest;
  for (const auto& [endpoint, target] : targets_)
    if (target.next && (!soonest || *target.next < *soonest)) soonest = target.next;
  return soonest;
}

// Uniform between half and all of it, so that nodes that lost the same peer do not return at once.
Duration Dialler::jittered(Duration full) {
  const std::uint64_t half = static_cast<std::uint64_t>(full.count()) / 2;
  const auto bytes = random_->array<8>();
  return Duration(static_cast<std::int64_t>(half + load_le64(bytes) % (half + 1)));
}

}  // namespace fedmesh::net
