// Two kinds of randomness with different names on purpose. Keys, salts and seed shares are drawn
// from a SecureRandom; everything that others must reproduce is drawn from a SeededRandom.
#pragma once

#include <array>
#include <cstdint>

#include "base/bytes.h"
#include "base/ids.h"

namespace fedmesh {

// Source of secrets. The process uses SystemRandom; only the simulator (tests/sim) implements it
// otherwise.
class SecureRandom {
 public:
  virtual ~SecureRandom() = default;
  virtual void fill(MutableByteView out) = 0;

  template <std::size_t N>
  std::array<std::uint8_t, N> array() {
    std::array<std::uint8_t, N> out;
    fill(out);
    return out;
  }
};

// The kernel's generator. Thread-safe. Implemented in base/crypto.
class SystemRandom final : public SecureRandom {
 public:
  void fill(MutableByteView out) override;
};

// The ChaCha20 keystream under a public seed: the same numbers everywhere, for ever. Never for
// secrets. Not thread-safe. Implemented in base/crypto.
class SeededRandom {
 public:
  explicit SeededRandom(const Digest& seed) : seed_(seed) {}
  explicit SeededRandom(std::uint64_t seed);

  std::uint64_t next_u64();
  // Uniform in [0, bound), without modulo bias. bound > 0.
  std::uint64_t below(std::uint64_t bound);
  double uniform();  // in [0, 1), a multiple of 2^-53
  double normal();   // standard normal, polar method; for generated data, never for privacy noise

  // An independent stream; equal labels give equal streams.
  SeededRandom fork(std::uint64_t label) const;

 private:
  void refill();

  Digest seed_;
  std::array<std::uint8_t, 4096> block_{};
  std::uint64_t block_index_ = 0;
  std::size_t used_ = sizeof(block_);
};

}  // namespace fedmesh
