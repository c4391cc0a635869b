// The exact mean from the integers of the wire, against what the same core can read of the same
// memory: the best reader is one that does nothing but read.
#include <memory>

#include "aggregation/fedavg.h"
#include "tests/bench/operations.h"

namespace fedmesh::bench {
namespace {

constexpr std::size_t kUpdates = 10;

struct Updates {
  explicit Updates(std::size_t dimension) {
    for (std::size_t i = 0; i < kUpdates; ++i) {
      values.push_back(random_values(dimension, static_cast<std::uint32_t>(i + 1)));
      views.push_back({values.back(), 1});
    }
  }
  std::vector<std::vector<std::int32_t>> values;
  std::vector<aggregation::WeightedUpdate> views;
};

// Kept: filling 400 MB takes longer than measuring them.
const Updates& updates_of(std::size_t dimension) {
  static std::unique_ptr<Updates> kept;
  if (!kept || kept->values[0].size() != dimension) {
    kept.reset();
    kept = std::make_unique<Updates>(dimension);
  }
  return *kept;
}

void count_bytes(benchmark::State& state, std::size_t dimension) {
  state.SetBytesProcessed(state.iterations() * static_cast<std::int64_t>(kUpdates * dimension * 4));
}

void mean(benchmark::State& state) {
  const auto dimension = static_cast<std::size_t>(state.range(0));
  const Updates& updates = updates_of(dimension);
  const aggregation::FedAvg rule;
  for (auto _ : state) benchmark::DoNotOptimize(rule.aggregate(updates.views));
  count_bytes(state, dimension);
}

// Independent chains of the widest loads that the compiler's target has everywhere.
__attribute__((target_clones("avx512f", "avx2", "default"), optimize("O3"))) std::uint64_t xor_of(
    const std::uint64_t* from, std::size_t count) {
  std::uint64_t lanes[32] = {};
  for (std::size_t i = 0; i + 32 <= count; i += 32)
    for (std::size_t j = 0; j < 32; ++j) lanes[j] ^= from[i + j];
  std::uint64_t out = 0;
  for (const std::uint64_t lane : lanes) out ^= lane;
  return out;
}

void read_all(benchmark::State& state) {
  const auto dimension = static_cast<std::size_t>(state.range(0));
  const Updates& updates = updates_of(dimension);
  for (auto _ : state)
    for (const auto& values : updates.values)
      benchmark::DoNotOptimize(
          xor_of(reinterpret_cast<const std::uint64_t*>(values.data()), values.size() / 2));
  count_bytes(state, dimension);
}

}  // namespace

void register_mean() {
  for (const auto& [size, count] : {std::pair{"1M", 1'000'000}, {"10M", 10'000'000}}) {
    benchmark::RegisterBenchmark((std::string("mean/") + size).c_str(), mean)->Arg(count);
    benchmark::RegisterBenchmark((std::string("memory/read/") + size).c_str(), read_all)
        ->Arg(count);
  }
}

}  // namespace fedmesh::bench
