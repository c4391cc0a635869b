// The exact discrete Laplace mechanism: integer noise with P(k) proportional to exp(-|k| / b), from
// a secret 32-byte seed. Every platform draws the same values; no floating point, no libm.
//
// A value is 0 with probability (1 - q) / (1 + q), q = exp(-1/b), and otherwise a fair sign times
// 1 + G with G geometric, P(G = g) = (1 - q) q^g: the same law as a difference of two geometric
// variables, with half the random bits. The bits of G are independent, bit i being set with
// probability 1 / (1 + exp(2^i / b)) (the sampler of Google's differential-privacy library draws
// them so), hence 64 values are drawn side by side: one word holds one bit of 64 lanes, and a lane
// is decided as soon as its random bits differ from the binary expansion of the probability.
//
// What is not exact, per value: probabilities are cut at 2^-128, and G has so many bits that the
// missing tail weighs less than 2^-128. With 57 thresholds at most, a vector of d values is within
// d · 2^-122 of the ideal law in total variation.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "base/ids.h"
#include "base/result.h"
#include "privacy/fixed_math.h"

namespace fedmesh::privacy {

// b = sensitivity / epsilon granules, exactly: epsilon is epsilon_nano · 1e-9.
struct LaplaceScale {
  std::uint64_t sensitivity_granules = 0;
  std::int64_t epsilon_nano = 0;
};

// Immutable after construction, thread-safe.
class DiscreteLaplace {
 public:
  // invalid_argument unless 1/64 <= b <= 2^48: below, there would be no noise to speak of; above,
  // samples might not fit. The detail says how to change the scale.
  static Result<DiscreteLaplace> create(LaplaceScale scale);

  // Adds one sample to each value; a sum beyond int64 stays at its limit (post-processing). The
  // samples are a function of scale and seed alone, those of a shorter vector begin those of a
  // longer one. The number of random words used depends on the samples: its timing is as secret as
  // the seed.
  void add(std::span<std::int64_t> values, const Digest& seed) const;
  std::vector<std::int64_t> sample(std::size_t count, const Digest& seed) const;

  unsigned magnitude_bits() const { return static_cast<unsigned>(bits_.size()); }

 private:
  DiscreteLaplace() = default;

  Uint128 zero_ = 0;           // P(value = 0) in units of 2^-128
  std::vector<Uint128> bits_;  // P(bit i of the geometric part is set), likewise
};

}  // namespace fedmesh::privacy
