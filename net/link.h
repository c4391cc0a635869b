// One link as the transport keeps it: a session, the frames that wait to be written, and the
// timers. Knows no socket; the transport moves its bytes.
// Not thread-safe: owned by the loop thread.
#pragma once

#include <cstdint>
#include <deque>
#include <memory>
#include <optional>
#include <string>

#include "base/clock.h"
#include "net/session.h"

namespace fedmesh::net {

struct LinkLimits {
  std::size_t queue_bytes_max = 16u << 20;  // waiting to be written, beyond what the system buffers
  Duration connect = std::chrono::seconds(5);     // a dialled connection must stand
  Duration handshake = std::chrono::seconds(3);   // and then, or once accepted, prove a key
  Duration heartbeat = std::chrono::seconds(5);   // something is sent at least this often
  Duration dead = std::chrono::seconds(15);       // nothing came for this long: the peer is gone
  std::uint32_t frames_per_second_max = 100'000;  // from one peer, averaged over a second
};

class Link {
 public:
  Link(LinkId id, Session session, bool dialled, const LinkLimits& limits, Instant now);

  void say_hello();             // of a dialled link: queues the first message
  void connected(Instant now);  // the dialled connection stands: the handshake's time begins

  // Answers are queued. An error means that the link is useless; its detail says why.
  Result<Session::Output> receive(ByteView bytes, Instant now);
  Result<void> send(ByteView message, Instant now);  // errors as Transport::send
  // Queues the last frame behind what waits, or what a stranger may be told; false if nothing.
  bool close(const std::string& reason);

  // Sends heartbeats. A reason: the link is dead.
  std::optional<std::string> tick(Instant now);
  Instant next_deadline() const;

  bool empty() const { return queue_.empty(); }
  // Shared with the system, which sends it without a copy and lets go of it afterwards.
  const std::shared_ptr<const Bytes>& front() const { return queue_.front(); }
  void pop();  // the front is with the system
  // True once after `exhausted`, when the queue has fallen to half of its bound.
  bool became_writable();

  LinkId id() const { return id_; }
  bool dialled() const { return dialled_; }
  const Session& session() const { return session_; }
  bool established() const { return established_at_.has_value(); }
  Instant established_at() const { return *established_at_; }
  PeerStats stats() const;

 private:
  void queue(Bytes frame);
  void sent_something(Instant now) { sent_at_ = now; }
  Result<void> count_frame(Instant now);

  LinkId id_;
  Session session_;
  bool dialled_;
  LinkLimits limits_;
  bool connected_;
  Instant deadline_;  // until established
  std::optional<Instant> established_at_;
  Instant heard_at_;
  Instant sent_at_;
  std::deque<std::shared_ptr<const Bytes>> queue_;
  std::size_t queued_bytes_ = 0;
  bool refused_a_message_ = false;
  Instant window_start_;
  std::uint32_t window_frames_ = 0;
  Traffic traffic_;
  std::optional<Duration> round_trip_;
};

}  // namespace fedmesh::net
