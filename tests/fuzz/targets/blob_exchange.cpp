// The step machine that fetches and serves blobs, with peers of no good will. Input: per step a
// byte that says what happens and to whom, for a message a chunk behind it. Wanted is the blob
// whose root comes first, in a chunk of its own. Form 0: it arrived; form 1: it was served.
#include "net/blob_exchange.h"

#include <map>

#include "base/crypto/blob_hash.h"
#include "tests/base/power_loss_disk.h"
#include "tests/fuzz/target.h"

namespace fedmesh {
namespace {
const bool kDeclared =
    fuzz::declare_form(0, "a fetched blob") && fuzz::declare_form(1, "a served blob");
constexpr std::size_t kPeers = 4;

class Run {
 public:
  explicit Run(const Digest& wanted) : wanted_(wanted) {
    FM_CHECK(store_->put(Bytes(70'000, 9)).ok(), "the store has room");
    step(net::BlobExchange::Want{wanted, 1u << 20, {}});
  }
  void go(fuzz::Input& input) {
    const std::uint8_t op = input.byte();
    const NodeId peer{{static_cast<std::uint8_t>(1 + op % kPeers)}};
    const bool up = answers_.contains(peer);
    switch (op / kPeers % 8) {
      case 0:
        if (!up) answers_[peer] = 0;
        if (!up) step(net::BlobExchange::PeerUp{peer, op < 128});
        return;
      case 1:
        if (answers_.erase(peer) > 0) step(net::BlobExchange::PeerDown{peer});
        return;
      case 2:
      case 3: {
        const ByteView bytes = input.chunk();
        if (up) step(net::BlobExchange::Received{peer, bytes});
        return;
      }
      case 4:
        if (up && answers_[peer] > 0 && answers_[peer]-- > 0) step(net::BlobExchange::Taken{peer});
        return;
      case 5:
        if (!up || answers_[peer] == 0) return;
        --answers_[peer];
        step(net::BlobExchange::Full{peer});
        return step(net::BlobExchange::Writable{peer});
      case 6:
        if (op < 128) return step(net::BlobExchange::Forget{wanted_});
        return step(net::BlobExchange::Want{wanted_, 1u << 20, {peer}});
      default:
        now_ = now_ + Duration(op * 10);
        return step(net::BlobExchange::Tick{});
    }
  }

 private:
  void step(const net::BlobExchange::Event& event) {
    for (const auto& effect : exchange_.step(now_, event)) {
      if (const auto* send = std::get_if<net::BlobExchange::Send>(&effect)) {
        FM_CHECK(answers_.contains(send->peer), "a message for somebody who is not linked");
        if (send->answer) ++answers_[send->peer];
        if (send->answer && send->bytes.size() > 70'000) fuzz::accepted(1);
      } else if (const auto* arrived = std::get_if<net::BlobExchange::Arrived>(&effect)) {
        FM_CHECK(store_->holds(arrived->root), "an arrived blob is not here");
        fuzz::accepted(0);
      }
    }
    const auto stats = exchange_.stats();
    FM_CHECK(stats.window_bytes <= limits_.window_bytes_max &&
                 stats.requests <= kPeers * limits_.peer_requests_max && stats.wants <= 1 &&
                 stats.to_answer <= kPeers * 64,
             "more is kept than the limits say");
  }

  PowerLossDisk disk_;
  std::unique_ptr<net::BlobStore> store_ = std::move(*net::BlobStore::open(disk_, "/blobs"));
  net::ExchangeLimits limits_;
  net::BlobExchange exchange_{*store_, limits_};
  Digest wanted_;
  Instant now_{1'000'000};
  std::map<NodeId, int> answers_;  // of linked peers: sent, and neither taken nor refused
};
}  // namespace
}  // namespace fedmesh

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace fedmesh;
  fuzz::Input input(data, size);
  const auto root = Digest::from_bytes(input.chunk());
  if (!root.ok()) return 0;
  Run run(*root);
  while (!input.empty()) run.go(input);
  return 0;
}
