// A coordinator with linked peers that say what they like. Input: per step a byte that says what
// happens and to whom, for a message a chunk behind it. Form 0: a record became final.
#include "coordinator/coordinator.h"

#include "coordinator/ledger/memory_store.h"
#include "tests/base/power_loss_disk.h"
#include "tests/fuzz/coordinator_network.h"
#include "tests/fuzz/target.h"

namespace fedmesh {
namespace {
class Randomness final : public SecureRandom {
 public:
  void fill(MutableByteView out) override {
    for (auto& byte : out) byte = static_cast<std::uint8_t>(random_.next_u64());
  }

 private:
  SeededRandom random_{std::uint64_t{1}};
};

class Run {
 public:
  void go(fuzz::Input& input) {
    using namespace coordinator;
    const std::uint8_t op = input.byte();
    const NodeId peer = fuzz::network_key(1 + op % 4).node_id();
    now_ = now_ + Duration(10 * (op / 4));
    switch (op / 4 % 6) {
      case 0:
        return step(LinkUp{peer});
      case 1:
        return step(LinkDown{peer});
      case 2:
      case 3:
        return step(Received{peer, to_bytes(input.chunk())});
      case 4: {
        const auto root = Digest::from_bytes(input.chunk());
        if (!root.ok()) return;
        if (op < 128) return step(BlobArrived{*root});
        return step(BlobFailed{*root, exhausted("no room")});
      }
      default:
        return step(Tick{});
    }
  }

 private:
  void step(coordinator::Event event) {
    for (auto& effect : coordinator_->step(now_, std::move(event))) {
      if (const auto* send = std::get_if<coordinator::Send>(&effect)) {
        const auto message = protocol::decode_message(send->message);
        FM_CHECK(message.ok(), "a coordinator says what nobody can decode");
        const auto* result = std::get_if<protocol::RecordResult>(&*message);
        if (result != nullptr && result->height) fuzz::accepted();
      } else if (auto* compute = std::get_if<coordinator::Compute>(&effect)) {
        auto done = rounds::compute(compute->task, *blobs_);
        later_.push_back(std::move(done));
      }
      FM_CHECK(!std::holds_alternative<coordinator::Halt>(effect), "a peer stops the coordinator");
    }
    while (!later_.empty()) {
      auto done = std::move(later_.back());
      later_.pop_back();
      step(coordinator::ComputeDone{std::move(done)});
    }
  }

  PowerLossDisk disk_;
  ledger::MemoryStore store_;
  std::unique_ptr<net::BlobStore> blobs_ = std::move(*net::BlobStore::open(disk_, "/blobs"));
  PrivateFolder items_ = std::move(*PrivateFolder::open(disk_, "/items"));
  Randomness random_;
  std::unique_ptr<coordinator::Coordinator> coordinator_ =
      std::move(*coordinator::Coordinator::create(fuzz::network_genesis(), fuzz::network_key(1),
                                                  {store_, *blobs_, items_, random_}));
  std::vector<rounds::ComputeDone> later_;
  Instant now_{1'700'000'000'000};
};
}  // namespace
}  // namespace fedmesh

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace fedmesh;
  fuzz::Input input(data, size);
  Run run;
  while (!input.empty()) run.go(input);
  return 0;
}
