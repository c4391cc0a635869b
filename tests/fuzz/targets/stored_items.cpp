// What an earlier process of a worker left in its folder. Input: per item a byte that chooses the
// name, then a chunk with the contents. Form 0: the worker starts with them.
#include "tests/fuzz/coordinator_network.h"
#include "tests/fuzz/target.h"
#include "worker/worker.h"

namespace fedmesh {
namespace {
class Randomness final : public SecureRandom {
 public:
  void fill(MutableByteView out) override { std::ranges::fill(out, std::uint8_t{5}); }
};

std::string item_name(std::uint8_t byte) {
  const std::string job = JobId{{1}}.hex();
  const std::string names[] = {"data-secret",
                               "head",
                               "grants",
                               "wanted-receipt-" + job + "-1",
                               "opening-" + job + "-1-0",
                               "score-" + job + "-1-0",
                               "else"};
  return names[byte % std::size(names)];
}
}  // namespace
}  // namespace fedmesh

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace fedmesh;
  fuzz::Input input(data, size);
  worker::PersistedItems items;
  while (!input.empty()) {
    const std::uint8_t name = input.byte();
    items[item_name(name)] = to_bytes(input.chunk());
  }
  worker::WorkerConfig config;
  config.genesis = fuzz::network_genesis();
  Randomness random;
  auto created =
      worker::Worker::create(std::move(config), fuzz::network_key(3), random, std::move(items));
  if (!created.ok()) return 0;
  Instant now{1'700'000'000'000};
  (void)(*created)->step(now, worker::Tick{});
  (void)(*created)->step(now, worker::LinkUp{fuzz::network_key(1).node_id()});
  (void)(*created)->status(now);
  fuzz::accepted();
  return 0;
}
