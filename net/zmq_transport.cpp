#include "net/zmq_transport.h"

#include <sys/eventfd.h>
#include <unistd.h>

#include <algorithm>

#include "base/check.h"
#include "net/zmq_core.h"

namespace fedmesh::net {
namespace {

constexpr std::size_t kSpareFiles = 512;  // for the rest of the process
constexpr int kZmqSocketsMax = 4096;

}  // namespace

std::string library_version() {
  int major = 0, minor = 0, patch = 0;
  zmq_version(&major, &minor, &patch);
  return "libzmq " + std::to_string(major) + "." + std::to_string(minor) + "." +
         std::to_string(patch);
}

ZmqTransport::Core::Core(crypto::SigningKey identity, const ZmqConfig& config, const Clock& clock,
                         SecureRandom& random)
    : config_(config),
      clock_(&clock),
      random_(&random),
      keys_(std::move(identity), random),
      gate_(random, clock.now()),
      context_(1),
      wake_fd_(::eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC)),
      dialler_(config.redial_min, config.redial_max, random) {
  FM_CHECK(wake_fd_ >= 0, "an eventfd can be made");
  context_.set(zmq::ctxopt::max_sockets, kZmqSocketsMax);
  // libzmq spins on accept() without descriptors left and aborts where it needs one itself.
  const std::size_t files = raise_open_files_limit(config_.accepted_max + kSpareFiles);
  if (files < config_.accepted_max + kSpareFiles)
    config_.accepted_max = files > 2 * kSpareFiles ? files - kSpareFiles : files / 2;
}

ZmqTransport::Core::~Core() {
  entries_.clear();
  listener_.reset();
  ::close(wake_fd_);
}

Result<void> ZmqTransport::Core::listen(const std::string& endpoint) {
  if (listener_) return invalid_argument("this node listens on " + listener_->endpoint());
  FM_TRY(const std::string normal, normal_endpoint(endpoint));
  FM_TRY(listener_, ListenSocket::bind(context_, normal, config_.frames_buffered));
  return {};
}

std::optional<std::string> ZmqTransport::Core::bound_endpoint() const {
  if (!listener_) return std::nullopt;
  return listener_->endpoint();
}

Result<void> ZmqTransport::Core::dial(const std::string& endpoint, std::optional<NodeId> expected) {
  FM_TRY(const std::string normal, normal_endpoint(endpoint));
  if (listener_ && normal == listener_->endpoint())
    return invalid_argument(normal + " is this node's own listener");
  if (expected && *expected == self()) return invalid_argument("a node does not dial itself");
  dialler_.add(normal, expected, clock_->now());
  return {};
}

void ZmqTransport::Core::forget(const std::string& endpoint) {
  const auto normal = normal_endpoint(endpoint);
  if (!normal.ok()) return;
  dialler_.remove(*normal);
  for (auto& [id, entry] : entries_)
    if (entry.endpoint == *normal && !entry.link.established())
      end(entry, "forgotten", Goodbye::none, clock_->now());
}

Result<void> ZmqTransport::Core::send(const NodeId& peer, const Bytes& message) {
  Entry* entry = entry_of(peer);
  if (entry == nullptr) return unavailable("not connected to " + peer.short_hex() + "...");
  const Instant now = clock_->now();
  FM_TRY_VOID(entry->link.send(message, now));
  if (!entry->retry_at) flush(*entry, now);
  return {};
}

void ZmqTransport::Core::disconnect(const NodeId& peer, const std::string& reason) {
  if (Entry* entry = entry_of(peer)) end(*entry, reason, Goodbye::told, clock_->now());
}

std::vector<PeerEvent> ZmqTransport::Core::poll(Duration timeout) {
  const Instant until = clock_->now() + std::max(timeout, Duration(0));
  for (;;) {
    const bool woken = take_wake();
    const Instant now = clock_->now();
    step(now);
    if (!events_.empty() || woken || now >= until) break;
    wait(next_deadline(until));
  }
  return std::exchange(events_, {});
}

Instant ZmqTransport::Core::next_deadline(Instant until) const {
  Instant soonest = until;
  const auto consider = [&](Instant at) { soonest = std::min(soonest, at); };
  for (const auto& [id, entry] : entries_) {
    if (entry.over) {
      consider(entry.drop_at);
      continue;
    }
    consider(entry.link.next_deadline());
    if (entry.ended_at) consider(*entry.ended_at + Duration(5));
    if (entry.retry_at && !entry.socket) consider(*entry.retry_at);
  }
  for (const auto& [fd, accepted] : accepted_)
    if (!accepted.proven || accepted.doomed) consider(accepted.deadline);
  if (const auto dial = dialler_.next_deadline()) consider(*dial);
  if (!entries_.empty() || !accepted_.empty()) consider(next_inflow_check_);
  return soonest;
}

void ZmqTransport::Core::wait(Instant until) {
  std::vector<zmq::pollitem_t> items{{nullptr, wake_fd_, ZMQ_POLLIN, 0}};
  const auto watch = [&](void* socket, short events) { items.push_back({socket, 0, events, 0}); };
  if (listener_) {
    watch(listener_->handle(), ZMQ_POLLIN);
    watch(listener_->monitor_handle(), ZMQ_POLLIN);
  }
  for (auto& [id, entry] : entries_) {
    if (!entry.socket || entry.over) continue;
    watch(entry.socket->handle(), entry.link.empty() ? ZMQ_POLLIN : ZMQ_POLLIN | ZMQ_POLLOUT);
    watch(entry.socket->monitor_handle(), ZMQ_POLLIN);
  }
  const Duration left = std::max(until - clock_->now(), Duration(0));
  try {
    zmq::poll(items, left);
  } catch (const zmq::error_t&) {
    // A signal: the caller looks again.
  }
}

bool ZmqTransport::Core::take_wake() {
  std::uint64_t count = 0;
  return ::read(wake_fd_, &count, sizeof(count)) == sizeof(count);
}

void ZmqTransport::Core::wake() {
  const std::uint64_t one = 1;
  // The only failure is a full counter, and then poll() returns anyway.
  (void)!::write(wake_fd_, &one, sizeof(one));
}

TransportStats ZmqTransport::Core::stats() const {
  TransportStats out;
  out.total = ended_traffic_;
  for (const auto& [id, entry] : entries_) {
    const Traffic& traffic = entry.link.stats().traffic;
    out.total.bytes_up += traffic.bytes_up;
    out.total.bytes_down += traffic.bytes_down;
    out.total.messages_up += traffic.messages_up;
    out.total.messages_down += traffic.messages_down;
  }
  for (const auto& [fd, accepted] : accepted_)
    if (!accepted.proven) ++out.half_open;
  out.refused = refused_;
  out.dial_failures = dial_failures_;
  for (const auto& [peer, id] : by_peer_) out.peers.emplace(peer, entries_.at(id).link.stats());
  return out;
}

std::optional<PeerStats> ZmqTransport::Core::stats_of(const NodeId& peer) const {
  const Entry* entry = entry_of(peer);
  if (entry == nullptr) return std::nullopt;
  return entry->link.stats();
}

ZmqTransport::ZmqTransport(crypto::SigningKey identity, const ZmqConfig& config, const Clock& clock,
                           SecureRandom& random)
    : core_(std::make_unique<Core>(std::move(identity), config, clock, random)) {}
ZmqTransport::~ZmqTransport() = default;

NodeId ZmqTransport::self() const { return core_->self(); }
Result<void> ZmqTransport::listen(const std::string& endpoint) { return core_->listen(endpoint); }
std::optional<std::string> ZmqTransport::bound_endpoint() const { return core_->bound_endpoint(); }
Result<void> ZmqTransport::dial(const std::string& endpoint, std::optional<NodeId> expected) {
  return core_->dial(endpoint, expected);
}
void ZmqTransport::forget(const std::string& endpoint) { core_->forget(endpoint); }
Result<void> ZmqTransport::send(const NodeId& peer, Bytes message) {
  return core_->send(peer, message);
}
void ZmqTransport::disconnect(const NodeId& peer, const std::string& reason) {
  core_->disconnect(peer, reason);
}
std::vector<PeerEvent> ZmqTransport::poll(Duration timeout) { return core_->poll(timeout); }
void ZmqTransport::wake() { core_->wake(); }
TransportStats ZmqTransport::stats() const { return core_->stats(); }
std::optional<PeerStats> ZmqTransport::stats_of(const NodeId& peer) const {
  return core_->stats_of(peer);
}

}  // namespace fedmesh::net
