// Seeded, deterministic changes to inputs, for the short run of fuzz targets without libFuzzer.
#pragma once

#include <vector>

#include "base/bytes.h"
#include "base/random.h"

namespace fedmesh::fuzz {

class Mutator {
 public:
  static constexpr std::size_t kBytesMax = 64u << 10;  // of a mutated input

  // `corpus` outlives the mutator.
  Mutator(const std::vector<Bytes>& corpus, std::uint64_t seed) : corpus_(corpus), random_(seed) {}

  Bytes next();  // an entry of the corpus, changed in one to five places

 private:
  void change(Bytes& bytes);
  void overwrite_with_boundary(Bytes& bytes);
  void insert(Bytes& bytes);
  void erase(Bytes& bytes);
  void splice(Bytes& bytes);
  std::size_t place(const Bytes& bytes) { return random_.below(bytes.size() + 1); }

  const std::vector<Bytes>& corpus_;
  SeededRandom random_;
};

}  // namespace fedmesh::fuzz
