#include "net/bulk_plane.h"

#include <algorithm>
#include <atomic>
#include <condition_variable>
#include <deque>
#include <map>
#include <mutex>
#include <thread>
#include <vector>

#include "base/check.h"
#include "net/blob_messages.h"

namespace fedmesh::net {
namespace {

constexpr Duration kIdle{1000};            // a wait ends earlier for everything that matters
constexpr Duration kAdmissionLasts{1000};  // asked again for a peer that goes on asking

}  // namespace

BulkConfig::BulkConfig() {
  zmq.link.queue_bytes_max = 4 * kPieceBytes;
  zmq.frames_buffered = 16;
}

class BulkPlane::Impl {
 public:
  Impl(crypto::SigningKey key, BlobStore& store, const BulkConfig& config, const Clock& clock,
       SecureRandom& random, OnEvent on_event, MayFetch may_fetch)
      : clock_(clock),
        on_event_(std::move(on_event)),
        may_fetch_(std::move(may_fetch)),
        exchange_(store, config.exchange),
        transport_(std::make_unique<ZmqTransport>(std::move(key), config.zmq, clock, random)) {
    thread_ = std::thread([this] { run(); });
  }
  ~Impl() { stop(); }

  // Runs it on the thread; false: the plane was stopped.
  using Command = std::function<void(Transport&)>;
  bool post(Command command) {
    const std::lock_guard lock(mutex_);
    if (stopped_) return false;
    commands_.push_back(std::move(command));
    transport_->wake();
    return true;
  }

  // ... and waits for its answer.
  template <class Answer>
  Result<Answer> call(std::function<Result<Answer>(Transport&)> command) {
    if (std::this_thread::get_id() == thread_id_.load()) return command(*transport_);
    std::mutex mutex;
    std::condition_variable ready;
    std::optional<Result<Answer>> answer;
    const bool posted = post([&](Transport& transport) {
      Result<Answer> result = command(transport);
      const std::lock_guard lock(mutex);
      answer.emplace(std::move(result));
      ready.notify_one();
    });
    if (!posted) return unavailable("the bulk plane was stopped");
    std::unique_lock lock(mutex);
    ready.wait(lock, [&] { return answer.has_value(); });
    return std::move(*answer);
  }

  void step(const BlobExchange::Event& event) { apply(exchange_.step(clock_.now(), event)); }

  std::set<NodeId> peers() const {
    const std::lock_guard lock(mutex_);
    return peers_;
  }

  void stop() {
    {
      const std::lock_guard lock(mutex_);
      stopping_ = true;
      if (!stopped_) transport_->wake();
    }
    const std::lock_guard joining(join_mutex_);
    if (thread_.joinable()) thread_.join();
  }

 private:
  struct Peer {
    bool ending = false;  // its end is among the events that were polled; a newer link may be up
    Instant admitted_at;
    std::deque<Bytes> unsent;  // requests for which the transport had no room, in order
  };

  void run() {
    thread_id_ = std::this_thread::get_id();
    while (run_commands()) {
      const Instant now = clock_.now();
      const auto wake = exchange_.next_wake();
      if (wake && *wake <= now) step(BlobExchange::Tick{});
      const auto next = exchange_.next_wake();
      const Duration wait = next ? std::clamp(*next - now, Duration(0), kIdle) : kIdle;
      std::vector<PeerEvent> events = transport_->poll(wait);
      for (const PeerEvent& event : events)
        if (const auto* end = std::get_if<Disconnected>(&event)) linked_[end->peer].ending = true;
      for (PeerEvent& event : events) std::visit([this](auto& one) { on(one); }, event);
    }
    const std::lock_guard lock(mutex_);
    transport_.reset();
    peers_.clear();
  }

  // False: that was the last time. What was posted before stop() still runs, so that whoever waits
  // for it gets an answer.
  bool run_commands() {
    for (;;) {
      Command command;
      {
        const std::lock_guard lock(mutex_);
        if (commands_.empty()) {
          stopped_ = stopping_;
          return !stopped_;
        }
        command = std::move(commands_.front());
        commands_.pop_front();
      }
      command(*transport_);
    }
  }

  void on(const Connected& event) {
    const NodeId& peer = event.peer.id;
    linked_[peer] = Peer{false, clock_.now(), {}};
    {
      const std::lock_guard lock(mutex_);
      peers_.insert(peer);
    }
    step(BlobExchange::PeerUp{peer, may_fetch_(peer)});
    on_event_(bulk::PeerUp{peer, event.peer.endpoint});
  }
  void on(const Disconnected& event) {
    linked_.erase(event.peer);
    {
      const std::lock_guard lock(mutex_);
      peers_.erase(event.peer);
    }
    step(BlobExchange::PeerDown{event.peer});
    on_event_(bulk::PeerDown{event.peer, event.reason});
  }
  void on(const Received& event) {
    const auto found = linked_.find(event.peer);
    if (found == linked_.end()) return;
    const Instant now = clock_.now();
    if (is_bulk_request(event.message) && now - found->second.admitted_at >= kAdmissionLasts) {
      found->second.admitted_at = now;
      step(BlobExchange::Admit{event.peer, may_fetch_(event.peer)});
    }
    step(BlobExchange::Received{event.peer, event.message});
  }
  void on(const Writable& event) {
    const auto found = linked_.find(event.peer);
    if (found == linked_.end()) return;
    send_unsent(event.peer, found->second);
    step(BlobExchange::Writable{event.peer});
  }
  void on(const DialFailed& event) { on_event_(bulk::DialFailed{event.endpoint, event.reason}); }
  void on(const Refused&) {}

  // One effect may cause events that cause effects; they follow those that stand already.
  void apply(BlobExchange::Effects effects) {
    std::deque<BlobExchange::Effect> todo(std::make_move_iterator(effects.begin()),
                                          std::make_move_iterator(effects.end()));
    while (!todo.empty()) {
      BlobExchange::Effect effect = std::move(todo.front());
      todo.pop_front();
      if (auto* one = std::get_if<BlobExchange::Send>(&effect)) {
        const auto happened = send(*one);
        if (!happened) continue;
        for (BlobExchange::Effect& more : exchange_.step(clock_.now(), *happened))
          todo.push_back(std::move(more));
      } else if (const auto* leave = std::get_if<BlobExchange::Disconnect>(&effect)) {
        transport_->disconnect(leave->peer, leave->reason);
      } else if (const auto* arrived = std::get_if<BlobExchange::Arrived>(&effect)) {
        on_event_(bulk::Arrived{arrived->root});
      } else if (const auto* failed = std::get_if<BlobExchange::Failed>(&effect)) {
        on_event_(bulk::Failed{failed->root, failed->reason});
      }
    }
  }

  // What the exchange is to be told.
  std::optional<BlobExchange::Event> send(BlobExchange::Send& one) {
    const auto found = linked_.find(one.peer);
    if (found == linked_.end() || found->second.ending) return std::nullopt;
    if (!one.answer) {
      found->second.unsent.push_back(std::move(one.bytes));
      send_unsent(one.peer, found->second);
      return std::nullopt;
    }
    const auto sent = transport_->send(one.peer, std::move(one.bytes));
    if (sent.ok()) return BlobExchange::Taken{one.peer};
    if (sent.error().code == ErrorCode::exhausted) return BlobExchange::Full{one.peer};
    // Its link is ending, or it accepts no message of this size.
    transport_->disconnect(one.peer, "it cannot be answered: " + sent.error().detail);
    return std::nullopt;
  }

  // Answers come in the order of requests, so none may be lost while its link lives.
  void send_unsent(const NodeId& peer, Peer& state) {
    while (!state.unsent.empty()) {
      const auto sent = transport_->send(peer, state.unsent.front());
      if (!sent.ok() && sent.error().code == ErrorCode::exhausted) return;
      state.unsent.pop_front();
    }
  }

  const Clock& clock_;
  const OnEvent on_event_;
  const MayFetch may_fetch_;
  // Owned by the thread, but for transport_->wake():
  BlobExchange exchange_;
  std::map<NodeId, Peer> linked_;

  mutable std::mutex mutex_;
  // Guarded by mutex_:
  std::unique_ptr<ZmqTransport> transport_;  // there until stopped_
  std::deque<Command> commands_;
  std::set<NodeId> peers_;
  bool stopping_ = false;
  bool stopped_ = false;

  std::atomic<std::thread::id> thread_id_{};
  std::mutex join_mutex_;
  std::thread thread_;
};

BulkPlane::BulkPlane(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
BulkPlane::~BulkPlane() = default;

std::unique_ptr<BulkPlane> BulkPlane::create(crypto::SigningKey key, BlobStore& store,
                                             const BulkConfig& config, const Clock& clock,
                                             SecureRandom& random, OnEvent on_event,
                                             MayFetch may_fetch) {
  return std::unique_ptr<BulkPlane>(new BulkPlane(std::make_unique<Impl>(
      std::move(key), store, config, clock, random, std::move(on_event), std::move(may_fetch))));
}

Result<std::string> BulkPlane::listen(const std::string& endpoint) {
  return impl_->call<std::string>([&](Transport& transport) -> Result<std::string> {
    FM_TRY_VOID(transport.listen(endpoint));
    const auto bound = transport.bound_endpoint();
    FM_CHECK(bound.has_value(), "a listener has an endpoint");
    return *bound;
  });
}

Result<void> BulkPlane::dial(const std::string& endpoint, std::optional<NodeId> expected) {
  const auto dialled = impl_->call<bool>([&](Transport& transport) -> Result<bool> {
    FM_TRY_VOID(transport.dial(endpoint, expected));
    return true;
  });
  if (!dialled.ok()) return dialled.error();
  return {};
}

void BulkPlane::forget(const std::string& endpoint) {
  impl_->post([endpoint](Transport& transport) { transport.forget(endpoint); });
}

void BulkPlane::disconnect(const NodeId& peer, const std::string& reason) {
  impl_->post([peer, reason](Transport& transport) { transport.disconnect(peer, reason); });
}

void BulkPlane::want(const Digest& root, std::uint64_t bytes_max, std::set<NodeId> holders,
                     Flush flush) {
  impl_->post([impl = impl_.get(),
               want = BlobExchange::Want{root, bytes_max, std::move(holders), flush}](Transport&) {
    impl->step(want);
  });
}

void BulkPlane::forget(const Digest& root) {
  impl_->post([impl = impl_.get(), root](Transport&) { impl->step(BlobExchange::Forget{root}); });
}

std::set<NodeId> BulkPlane::peers() const { return impl_->peers(); }
void BulkPlane::stop() { impl_->stop(); }

}  // namespace fedmesh::net
