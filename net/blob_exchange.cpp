#include "net/blob_exchange.h"

#include <algorithm>

#include "net/blob_fetching.h"
#include "net/blob_messages.h"
#include "net/blob_serving.h"

namespace fedmesh::net {
namespace {

// While something is wanted: stalls, retries and second requests are noticed this late at most.
constexpr Duration kTick{250};
constexpr Duration kReaderTick{1000};

template <class... Fs>
struct Overloaded : Fs... {
  using Fs::operator()...;
};
template <class... Fs>
Overloaded(Fs...) -> Overloaded<Fs...>;

}  // namespace

class BlobExchange::Impl {
 public:
  Impl(BlobStore& store, const ExchangeLimits& limits)
      : serving_(store), fetching_(store, limits) {}

  Effects step(Instant now, const Event& event) {
    now_ = std::max(now_, now);
    Effects effects;
    std::visit([&](const auto& one) { on(one, effects); }, event);
    condemn(effects);
    return effects;
  }

  std::optional<Instant> next_wake() const {
    if (!fetching_.idle()) return ticked_ + kTick;
    if (serving_.readers() > 0) return ticked_ + kReaderTick;
    return std::nullopt;
  }

  bool wants(const Digest& root) const { return fetching_.wants(root); }

  Stats stats() const {
    Stats stats;
    fetching_.add_to(stats);
    stats.to_answer = serving_.to_answer();
    stats.readers = serving_.readers();
    return stats;
  }

 private:
  void on(const PeerUp& event, Effects& effects) {
    condemned_.erase(event.peer);
    serving_.up(event.peer, event.served);
    fetching_.up(event.peer, now_, effects);
  }
  void on(const PeerDown& event, Effects& effects) {
    condemned_.erase(event.peer);
    serving_.down(event.peer);
    fetching_.down(event.peer, now_, effects);
  }
  void on(const Admit& event, Effects&) { serving_.admit(event.peer, event.served); }
  void on(const Received& event, Effects& effects) {
    if (condemned_.contains(event.peer)) return;
    const auto message = decode_bulk(event.bytes);
    if (!message.ok()) {
      effects.emplace_back(Disconnect{event.peer, "it sent " + message.error().detail});
      return;
    }
    const auto request = [&](const BlobServing::Request& one) {
      serving_.requested(event.peer, one, now_, effects);
    };
    const auto answer = [&](const BlobFetching::Answer& one) {
      fetching_.answered(event.peer, one, now_, effects);
    };
    std::visit(Overloaded{[&](const ManifestRequest& one) { request(one); },
                          [&](const ChunkRequest& one) { request(one); },
                          [&](const ManifestPage& one) { answer(one); },
                          [&](const Chunks& one) { answer(one); },
                          [&](const Missing& one) { answer(one); }},
               *message);
  }
  void on(const Taken& event, Effects& effects) { serving_.taken(event.peer, now_, effects); }
  void on(const Full& event, Effects&) { serving_.full(event.peer); }
  void on(const Writable& event, Effects& effects) { serving_.writable(event.peer, now_, effects); }
  void on(const Want& event, Effects& effects) { fetching_.want(event, now_, effects); }
  void on(const Forget& event, Effects& effects) { fetching_.forget(event.root, now_, effects); }
  void on(const Tick&, Effects& effects) {
    ticked_ = now_;
    fetching_.tick(now_, effects);
    serving_.close_idle(now_);
  }

  // Who is to be disconnected counts as gone at once; what it still says is not listened to.
  void condemn(Effects& effects) {
    std::set<NodeId> leaving;
    for (const Effect& effect : effects)
      if (const auto* one = std::get_if<Disconnect>(&effect)) leaving.insert(one->peer);
    for (const NodeId& peer : leaving) {
      condemned_.insert(peer);
      serving_.down(peer);
      fetching_.down(peer, now_, effects);
    }
  }

  BlobServing serving_;
  BlobFetching fetching_;
  std::set<NodeId> condemned_;  // linked still; forgotten when the link is gone
  Instant now_;
  Instant ticked_;
};

BlobExchange::BlobExchange(BlobStore& store, const ExchangeLimits& limits)
    : impl_(std::make_unique<Impl>(store, limits)) {}
BlobExchange::~BlobExchange() = default;

BlobExchange::Effects BlobExchange::step(Instant now, const Event& event) {
  return impl_->step(now, event);
}
std::optional<Instant> BlobExchange::next_wake() const { return impl_->next_wake(); }
bool BlobExchange::wants(const Digest& root) const { return impl_->wants(root); }
BlobExchange::Stats BlobExchange::stats() const { return impl_->stats(); }

}  // namespace fedmesh::net
