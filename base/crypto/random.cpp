#include "base/random.h"

#include <sodium.h>

#include <cmath>

#include "base/crypto/aead.h"
#include "base/crypto/digest.h"

namespace fedmesh {

void SystemRandom::fill(MutableByteView out) { randombytes_buf(out.data(), out.size()); }

SeededRandom::SeededRandom(std::uint64_t seed)
    : seed_(crypto::Blake2b("fedmesh/seeded-random/v1").add_u64(seed).finish()) {}

void SeededRandom::refill() {
  crypto::chacha20_stream(seed_.view(), 0, block_index_, block_);
  block_index_ += block_.size() / 64;
  used_ = 0;
}

std::uint64_t SeededRandom::next_u64() {
  if (used_ == block_.size()) refill();
  const std::uint64_t value = load_le64(ByteView(block_).subspan(used_, 8));
  used_ += 8;
  return value;
}

std::uint64_t SeededRandom::below(std::uint64_t bound) {
  FM_CHECK(bound > 0, "an empty range has no members");
  const std::uint64_t limit = UINT64_MAX - UINT64_MAX % bound;  // a multiple of bound
  std::uint64_t value = next_u64();
  while (value >= limit) value = next_u64();
  return value % bound;
}

double SeededRandom::uniform() { return static_cast<double>(next_u64() >> 11) * 0x1.0p-53; }

double SeededRandom::normal() {
  for (;;) {
    const double u = 2 * uniform() - 1;
    const double v = 2 * uniform() - 1;
    const double s = u * u + v * v;
    if (s > 0 && s < 1) return u * std::sqrt(-2 * std::log(s) / s);
  }
}

SeededRandom SeededRandom::fork(std::uint64_t label) const {
  return SeededRandom(
      crypto::Blake2b("fedmesh/seeded-random-fork/v1").add(seed_).add_u64(label).finish());
}

}  // namespace fedmesh
