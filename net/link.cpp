#include "net/link.h"

#include <algorithm>

#include "base/check.h"

namespace fedmesh::net {
namespace {

// Pongs and the like may exceed the queue's bound by this much. A peer that makes us answer more
// without reading the answers is cut off.
constexpr std::size_t kControlSlackBytes = 256u << 10;

std::string milliseconds(Duration time) { return std::to_string(time.count()) + " ms"; }

}  // namespace

Link::Link(LinkId id, Session session, bool dialled, const LinkLimits& limits, Instant now)
    : id_(id),
      session_(std::move(session)),
      dialled_(dialled),
      limits_(limits),
      connected_(!dialled),
      deadline_(now + (dialled ? limits.connect : limits.handshake)),
      heard_at_(now),
      sent_at_(now),
      window_start_(now) {}

void Link::say_hello() { queue(session_.hello()); }

void Link::connected(Instant now) {
  connected_ = true;
  if (!established()) deadline_ = now + limits_.handshake;
}

void Link::queue(Bytes frame) {
  queued_bytes_ += frame.size();
  queue_.push_back(std::make_shared<const Bytes>(std::move(frame)));
}

void Link::pop() {
  FM_CHECK(!queue_.empty(), "pop() of an empty queue");
  queued_bytes_ -= queue_.front()->size();
  traffic_.bytes_up += queue_.front()->size();
  queue_.pop_front();
}

Result<void> Link::count_frame(Instant now) {
  if (now - window_start_ >= std::chrono::seconds(1)) {
    window_start_ = now;
    window_frames_ = 0;
  }
  if (++window_frames_ > limits_.frames_per_second_max)
    return exhausted("the peer sent more than " + std::to_string(limits_.frames_per_second_max) +
                     " frames within a second");
  return {};
}

Result<Session::Output> Link::receive(ByteView bytes, Instant now) {
  traffic_.bytes_down += bytes.size();
  FM_TRY_VOID(count_frame(now));
  FM_TRY(Session::Output output, session_.receive(bytes, now));
  heard_at_ = now;
  if (output.established) established_at_ = now;
  if (output.round_trip) round_trip_ = output.round_trip;
  traffic_.messages_down += output.messages.size();
  for (Bytes& frame : output.send) {
    queue(std::move(frame));
    sent_something(now);
  }
  output.send.clear();
  if (queued_bytes_ > limits_.queue_bytes_max + kControlSlackBytes)
    return exhausted("the peer asks for answers and does not read them");
  return output;
}

Result<void> Link::send(ByteView message, Instant now) {
  if (!queue_.empty() && queued_bytes_ + message.size() > limits_.queue_bytes_max) {
    refused_a_message_ = true;
    return exhausted("the peer reads slowly: " + std::to_string(queued_bytes_) +
                     " bytes wait; try again after Writable");
  }
  FM_TRY(std::vector<Bytes> frames, session_.seal(message, now));
  for (Bytes& frame : frames) queue(std::move(frame));
  ++traffic_.messages_up;
  sent_something(now);
  return {};
}

bool Link::close(const std::string& reason) {
  auto last = session_.close(reason);
  const std::optional<Bytes> words = last.ok() ? std::move(last).value() : session_.farewell();
  if (!words) return false;
  queue(*words);
  return true;
}

bool Link::became_writable() {
  if (!refused_a_message_ || queued_bytes_ > limits_.queue_bytes_max / 2) return false;
  refused_a_message_ = false;
  return true;
}

std::optional<std::string> Link::tick(Instant now) {
  if (!established()) {
    if (now < deadline_) return std::nullopt;
    if (!connected_) return "no connection within " + milliseconds(limits_.connect);
    return "no handshake within " + milliseconds(limits_.handshake);
  }
  if (now - heard_at_ >= limits_.dead) return "nothing was heard for " + milliseconds(limits_.dead);
  if (now - sent_at_ >= limits_.heartbeat) {
    auto ping = session_.ping(now);
    if (ping.ok()) queue(std::move(ping).value());
    sent_something(now);
  }
  return std::nullopt;
}

Instant Link::next_deadline() const {
  if (!established()) return deadline_;
  return std::min(heard_at_ + limits_.dead, sent_at_ + limits_.heartbeat);
}

PeerStats Link::stats() const {
  return {id_, dialled_, established_at_.value_or(Instant{}), traffic_, queued_bytes_, round_trip_};
}

}  // namespace fedmesh::net
