// The operations that fedmesh_bench measures: each file registers its own, under the names that
// README.md here lists. "x" is fedmesh, "x/ceiling" or "x/reference" what it is compared with.
#pragma once

#include <benchmark/benchmark.h>

#include <cstdint>
#include <random>
#include <vector>

namespace fedmesh::bench {

void register_crypto();
void register_mean();
void register_bulk();
void register_updates();
void register_training();  // of a build with LibTorch

// Like quantised updates: some twenty bits in use.
inline std::vector<std::int32_t> random_values(std::size_t count, std::uint32_t seed) {
  std::minstd_rand random(seed);
  std::vector<std::int32_t> out(count);
  for (auto& value : out) value = static_cast<std::int32_t>(random() % 2'000'001) - 1'000'000;
  return out;
}

}  // namespace fedmesh::bench
