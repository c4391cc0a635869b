#include "net/zmq_core.h"

#include <algorithm>

#include "base/check.h"

namespace fedmesh::net {
namespace {

constexpr std::size_t kMessagesPerStep = 256;    // of one socket
constexpr std::size_t kBytesPerStep = 4u << 20;  // of one socket
constexpr Duration kLastWords{200};              // for a last frame to leave
constexpr Duration kLateMessages{5};             // an ended connection's, after its end was told
constexpr Duration kStable{5000};                // a link that lived so long was no mistake
// libzmq keeps the parts of an unfinished message, 64 bytes for a part of one, without any limit.
// After everything readable was read, it may hold no more than this of a stranger and of a peer
// (one frame and what it is about to hand over), and twice its high-water mark at any time.
constexpr Duration kInflowCheckStrangers{50};
constexpr Duration kInflowCheckPeers{250};
constexpr std::uint64_t kHoardedOfStrangerMax = 16u << 10;
constexpr std::uint64_t kHoardedOfPeerMax = 1u << 20;
constexpr std::uint64_t kHoardedMax = 32u << 20;
constexpr Duration kRetry{1};  // a socket without room, when it has been so briefly
constexpr Duration kRetryLater{16};
constexpr Duration kBriefly{100};
constexpr const char* kNeverEnds = "it sends messages that never end";

std::string closed_by_peer(const std::string& reason) {
  return reason.empty() ? "the peer ended the link" : "the peer ended the link: " + reason;
}

void add(Traffic& to, const Traffic& more) {
  to.bytes_up += more.bytes_up;
  to.bytes_down += more.bytes_down;
  to.messages_up += more.messages_up;
  to.messages_down += more.messages_down;
}

}  // namespace

void ZmqTransport::Core::step(Instant now) {
  gate_.rotate(*random_, now);
  const bool check_inflow = now >= next_inflow_check_;
  if (check_inflow) measure_inflow(now);
  if (listener_) read_listener(now);
  for (auto& [id, entry] : entries_)
    if (entry.socket) read_dialled(entry, now);
  if (check_inflow) judge_inflow(now);
  start_dials(now);
  tick(now);
  sweep(now);
}

// Before reading: what had arrived by now must be readable, or it is hoarded.
void ZmqTransport::Core::measure_inflow(Instant now) {
  bool strangers = false;
  for (auto& [fd, accepted] : accepted_) {
    accepted.inflow.taken = bytes_taken(fd);
    strangers = strangers || !accepted.proven;
  }
  for (auto& [id, entry] : entries_)
    if (entry.socket) entry.inflow.taken = bytes_taken(entry.inflow.fd);
  next_inflow_check_ = now + (strangers ? kInflowCheckStrangers : kInflowCheckPeers);
}

bool ZmqTransport::Core::hoards(const Inflow& inflow, bool proven, bool drained) {
  const std::uint64_t allowed =
      !drained ? kHoardedMax : (proven ? kHoardedOfPeerMax : kHoardedOfStrangerMax);
  return inflow.taken > inflow.delivered + allowed;
}

void ZmqTransport::Core::judge_inflow(Instant now) {
  for (auto& [id, entry] : entries_)
    if (entry.socket && hoards(entry.inflow, entry.link.established(), entry.drained))
      end(entry, kNeverEnds, Goodbye::none, now);
  for (auto& [fd, accepted] : accepted_) {
    if (accepted.doomed || !hoards(accepted.inflow, accepted.proven, listener_drained_)) continue;
    const auto route = by_route_.find(accepted.route);
    if (route != by_route_.end()) {
      end(entries_.at(route->second), kNeverEnds, Goodbye::none, now);
    } else {
      refuse(accepted.address, kNeverEnds);
    }
    accepted.doomed = true;
    accepted.deadline = now;
  }
}

void ZmqTransport::Core::read_listener_events(Instant now) {
  while (const auto event = listener_->next_event()) {
    if (event->kind == SocketEvent::Kind::accepted) {
      accept(event->fd, now);
      continue;
    }
    const auto found = accepted_.find(event->fd);
    if (found == accepted_.end()) continue;
    const auto route = by_route_.find(found->second.route);
    if (route != by_route_.end()) entries_.at(route->second).ended_at = now;
    erase_accepted(found);
  }
}

void ZmqTransport::Core::erase_accepted(std::map<int, Accepted>::iterator which) {
  const auto from = accepted_from_.find(which->second.address);
  if (--from->second == 0) accepted_from_.erase(from);
  accepted_.erase(which);
}

void ZmqTransport::Core::accept(int fd, Instant now) {
  Accepted accepted;
  accepted.address = ListenSocket::address_of(fd);
  accepted.deadline = now + config_.link.handshake;
  accepted.inflow.fd = fd;
  // A record that is still here missed its end: the descriptor is somebody else's now.
  const auto stale = accepted_.find(fd);
  if (stale != accepted_.end()) erase_accepted(stale);
  const bool crowded = accepted_.size() >= config_.accepted_max;
  std::size_t& from = accepted_from_[accepted.address];
  if (crowded || from >= config_.accepted_per_address_max) {
    accepted.doomed = true;
    accepted.deadline = now;
    refuse(accepted.address, crowded ? "too many connections" : "too many from one address");
  }
  ++from;
  accepted_.emplace(fd, std::move(accepted));
}

void ZmqTransport::Core::read_listener(Instant now) {
  read_listener_events(now);
  std::size_t bytes = 0;
  for (std::size_t count = 0; count < kMessagesPerStep && bytes < kBytesPerStep; ++count) {
    const auto in = listener_->receive();
    listener_drained_ = !in.has_value();
    if (!in) return;
    const ByteView body(in->body.data<std::uint8_t>(), in->body.size());
    bytes += body.size();
    auto known = by_route_.find(in->route);
    if (known == by_route_.end()) {
      // Whatever held this descriptor before has ended, and its event is here by now.
      read_listener_events(now);
      read_stranger(*in, now);
      known = by_route_.find(in->route);
    }
    const auto accepted = accepted_.find(in->fd);
    if (accepted != accepted_.end())
      accepted->second.inflow.delivered += bytes_on_the_wire(body.size());
    if (known != by_route_.end()) on_message(entries_.at(known->second), body, now);
  }
}

// Makes a link of a connection's first message; the message itself is handled by the caller.
void ZmqTransport::Core::read_stranger(const ListenSocket::Incoming& in, Instant now) {
  const auto found = accepted_.find(in.fd);
  if (found == accepted_.end() || found->second.doomed) return;
  Accepted& accepted = found->second;
  if (!accepted.route.empty() && accepted.route != in.route) return;  // of an ended connection
  accepted.route = in.route;
  if (half_open_ >= config_.half_open_max) {
    (void)listener_->send(in.route, std::make_shared<const Bytes>(encode_refusal(Refusal::busy)));
    accepted.doomed = true;
    accepted.deadline = now + kLastWords;
    return refuse(accepted.address, "too many handshakes at once");
  }
  Session session =
      half_open_ < config_.half_open_before_cookies
          ? Session::respond(config_.session, keys_, *random_)
          : Session::respond_guarded(config_.session, keys_, *random_, gate_, accepted.address);
  const LinkId id = next_link_;
  next_link_ = id.next();
  Entry entry(Link(id, std::move(session), false, config_.link, now), accepted.address);
  entry.route = in.route;
  entry.fd = in.fd;
  entries_.emplace(id, std::move(entry));
  by_route_.emplace(in.route, id);
  ++half_open_;
}

void ZmqTransport::Core::read_dialled(Entry& entry, Instant now) {
  while (const auto event = entry.socket->next_event()) read_dialled_event(entry, *event, now);
  std::size_t bytes = 0;
  for (std::size_t count = 0; count < kMessagesPerStep && bytes < kBytesPerStep; ++count) {
    const auto body = entry.socket->receive();
    entry.drained = !body.has_value();
    if (!body) break;
    bytes += body->size();
    entry.inflow.delivered += bytes_on_the_wire(body->size());
    on_message(entry, ByteView(body->data<std::uint8_t>(), body->size()), now);
  }
  if (!entry.over) flush(entry, now);
}

void ZmqTransport::Core::read_dialled_event(Entry& entry, const SocketEvent& event, Instant now) {
  switch (event.kind) {
    case SocketEvent::Kind::connected:
      entry.inflow.fd = event.fd;
      return entry.link.connected(now);
    case SocketEvent::Kind::failed:
      return end(entry, "nobody answers there", Goodbye::none, now);
    case SocketEvent::Kind::disconnected:
      entry.inflow.fd = -1;
      if (!entry.ended_at) entry.ended_at = now;
      return;
    case SocketEvent::Kind::accepted:
      return;
  }
}

void ZmqTransport::Core::on_message(Entry& entry, ByteView bytes, Instant now) {
  if (entry.over) return;
  auto output = entry.link.receive(bytes, now);
  if (!output.ok()) {
    if (entry.link.session().met_itself()) dialler_.give_up(entry.endpoint);
    return end(entry, output.error().detail, Goodbye::told, now);
  }
  if (output->established) on_established(entry, now);
  if (!entry.over) {
    for (Bytes& message : output->messages)
      events_.emplace_back(Received{entry.link.session().peer().id, std::move(message)});
  }
  if (output->closed) return end(entry, closed_by_peer(*output->closed), Goodbye::none, now);
  flush(entry, now);
  if (entry.link.session().asked_for_cookie()) forget_stranger(entry);
}

// Of two links to the same node: see the rules in zmq_transport.h.
bool ZmqTransport::Core::keeps_new(const Entry& entry, const Entry& existing, Instant now) const {
  const bool crossing = entry.link.dialled() != existing.link.dialled() &&
                        now - existing.link.established_at() < config_.link.handshake;
  if (!crossing) return true;
  const bool we_are_lower = self() < entry.link.session().peer().id;
  return entry.link.dialled() == we_are_lower;
}

void ZmqTransport::Core::on_established(Entry& entry, Instant now) {
  const PeerInfo& peer = entry.link.session().peer();
  if (entry.link.dialled()) {
    dialler_.established(entry.endpoint, peer.id);
  } else {
    --half_open_;
    const auto accepted = accepted_.find(entry.fd);
    if (accepted != accepted_.end()) accepted->second.proven = true;
  }
  if (Entry* existing = entry_of(peer.id)) {
    if (!keeps_new(entry, *existing, now))
      return end(entry, "a link to this node exists", Goodbye::told, now);
    end(*existing, "replaced by a newer link of the same node", Goodbye::told, now);
  }
  by_peer_[peer.id] = entry.link.id();
  events_.emplace_back(Connected{entry.link.id(), peer, entry.link.dialled()});
}

void ZmqTransport::Core::start_dials(Instant now) {
  const auto connected = [this](const NodeId& node) { return by_peer_.contains(node); };
  for (const Dialler::Attempt& attempt : dialler_.due(now, connected)) {
    auto socket = DialSocket::connect(context_, attempt.endpoint, config_.link.connect,
                                      config_.frames_buffered);
    if (!socket.ok()) {
      ++dial_failures_;
      events_.emplace_back(DialFailed{attempt.endpoint, socket.error().detail,
                                      dialler_.ended(attempt.endpoint, false, now)});
      continue;
    }
    const LinkId id = next_link_;
    next_link_ = id.next();
    Session session = Session::initiate(config_.session, keys_, *random_, attempt.expected);
    Entry entry(Link(id, std::move(session), true, config_.link, now), attempt.endpoint);
    entry.socket = std::move(socket).value();
    entry.endpoint = attempt.endpoint;
    entry.link.say_hello();
    entries_.emplace(id, std::move(entry));
  }
}

void ZmqTransport::Core::tick(Instant now) {
  for (auto& [id, entry] : entries_) {
    if (entry.over) {
      flush(entry, now);
      continue;
    }
    if (const auto reason = entry.link.tick(now)) end(entry, *reason, Goodbye::none, now);
    if (entry.over) continue;
    if (!entry.retry_at || *entry.retry_at <= now) flush(entry, now);
  }
  if (listener_) check_accepted(now);
}

// Connections without a link have a deadline of their own.
void ZmqTransport::Core::check_accepted(Instant now) {
  for (auto it = accepted_.begin(); it != accepted_.end();) {
    Accepted& accepted = it->second;
    const bool linked = !accepted.doomed && by_route_.contains(accepted.route);
    if (linked || accepted.deadline > now) {
      ++it;
      continue;
    }
    if (!accepted.doomed) refuse(accepted.address, "no handshake in time");
    accepted.doomed = true;
    accepted.deadline = now + std::chrono::seconds(1);
    const auto current = it++;
    if (!listener_->drop(current->first)) erase_accepted(current);  // else its end will be told
  }
}

void ZmqTransport::Core::flush(Entry& entry, Instant now) {
  while (!entry.link.empty()) {
    const auto& frame = entry.link.front();
    const SendOutcome outcome =
        entry.socket ? entry.socket->send(frame) : listener_->send(entry.route, frame);
    if (outcome == SendOutcome::sent) {
      entry.link.pop();
      entry.full_since.reset();
      continue;
    }
    if (outcome == SendOutcome::gone && !entry.ended_at) entry.ended_at = now;
    // A DEALER says when it can write again; a ROUTER does not tell of one peer. One that reads at
    // its network's pace is asked often, or its connection runs dry in between.
    if (!entry.full_since) entry.full_since = now;
    entry.retry_at = now + (now - *entry.full_since < kBriefly ? kRetry : kRetryLater);
    break;
  }
  if (entry.link.empty()) entry.retry_at.reset();
  if (!entry.over && entry.link.established() && entry.link.became_writable())
    events_.emplace_back(Writable{entry.link.session().peer().id});
}

void ZmqTransport::Core::end(Entry& entry, const std::string& reason, Goodbye goodbye,
                             Instant now) {
  if (entry.over) return;
  tell_end(entry, reason, now);
  entry.over = true;
  entry.drop_at = now;
  if (goodbye == Goodbye::none || entry.ended_at || !entry.link.close(reason)) return;
  flush(entry, now);
  if (entry.socket) {
    entry.socket->linger(kLastWords);
  } else {
    entry.drop_at = now + kLastWords;
  }
}

void ZmqTransport::Core::tell_end(Entry& entry, const std::string& reason, Instant now) {
  const bool established = entry.link.established();
  std::optional<Duration> retry_in;
  if (entry.link.dialled()) {
    const bool lasting = established && now - entry.link.established_at() >= kStable;
    if (!entry.link.session().met_itself()) retry_in = dialler_.ended(entry.endpoint, lasting, now);
  } else if (!established) {
    --half_open_;
  }
  if (established) {
    const NodeId peer = entry.link.session().peer().id;
    const auto current = by_peer_.find(peer);
    if (current == by_peer_.end() || current->second != entry.link.id()) return;
    by_peer_.erase(current);
    dialler_.peer_gone(peer, now);
    events_.emplace_back(Disconnected{peer, reason});
  } else if (!entry.link.dialled()) {
    refuse(entry.address, reason);
  } else if (dialler_.keeps(entry.endpoint)) {
    ++dial_failures_;
    events_.emplace_back(DialFailed{entry.endpoint, reason, retry_in});
  }
}

// The cookie is sent; the stranger's next message starts a new session on the same connection.
void ZmqTransport::Core::forget_stranger(Entry& entry) {
  --half_open_;
  by_route_.erase(entry.route);
  entry.over = true;
  entry.fd = -1;  // the connection stays
  entry.drop_at = Instant{};
}

void ZmqTransport::Core::sweep(Instant now) {
  for (auto it = entries_.begin(); it != entries_.end();) {
    Entry& entry = it->second;
    const bool drained = entry.socket ? entry.drained : listener_drained_;
    if (!entry.over && entry.ended_at && drained && now - *entry.ended_at >= kLateMessages)
      end(entry, "the connection was closed", Goodbye::none, now);
    if (!entry.over || (entry.drop_at > now && !entry.ended_at)) {
      ++it;
      continue;
    }
    if (!entry.socket && entry.fd >= 0) {
      by_route_.erase(entry.route);
      const auto accepted = accepted_.find(entry.fd);
      if (accepted != accepted_.end() && accepted->second.route == entry.route) {
        accepted->second.doomed = true;
        accepted->second.deadline = now;
      }
    }
    add(ended_traffic_, entry.link.stats().traffic);
    it = entries_.erase(it);
  }
  if (listener_) check_accepted(now);
}

void ZmqTransport::Core::refuse(const std::string& address, const std::string& reason) {
  ++refused_;
  events_.emplace_back(Refused{address, reason});
}

ZmqTransport::Core::Entry* ZmqTransport::Core::entry_of(const NodeId& peer) {
  const auto found = by_peer_.find(peer);
  return found == by_peer_.end() ? nullptr : &entries_.at(found->second);
}

const ZmqTransport::Core::Entry* ZmqTransport::Core::entry_of(const NodeId& peer) const {
  const auto found = by_peer_.find(peer);
  return found == by_peer_.end() ? nullptr : &entries_.at(found->second);
}

}  // namespace fedmesh::net
