// Renyi differential privacy of discrete Laplace noise, in integers rounded up: what the accountant
// adds and compares.
//
// One event releases a vector whose L1 sensitivity is at most s granules, with discrete Laplace
// noise of scale b = s / epsilon0. At order alpha its cost is at most
//     R(alpha) = epsilon0 + ln(1 - B (1 - exp(-(2 alpha - 1) epsilon0))) / (alpha - 1),
//     B = (q - t) / ((1 + q)(1 - t)),  q = exp(-1/b),  t = exp(-(2 alpha - 1) / b),
// the Renyi divergence of two discrete Laplace laws s granules apart. As s grows, R falls towards
// Mironov's Proposition 6 for continuous Laplace (2017), which would be too low for integers; at
// s = 1 it is that of randomised response, the most that any epsilon0-private mechanism can cost.
// See README.md for why a vector costs no more than a scalar with the same total shift.
#pragma once

#include <array>
#include <cstdint>

#include "privacy/fixed_math.h"

namespace fedmesh::privacy {

struct LaplaceEvent {
  std::int64_t epsilon0_nano = 0;
  std::uint64_t sensitivity_granules = 1;  // a smaller number than the true one overstates the cost
};

inline constexpr std::int64_t kEpsilonNanoMax = 1'000'000'000'000'000;  // a million
inline constexpr std::uint64_t kSensitivityMax = std::uint64_t{1} << 40;

// Orders alpha = 1 + x / 128, x = m · 2^e with m in 8..15 and e in 0..13: from 1.0625 to 961.
// Missing the best x by a sixteenth raises epsilon by about a part in 500.
inline constexpr std::size_t kOrders = 112;
constexpr std::uint64_t order_excess_128ths(std::size_t index) {
  return (8 + index % 8) << (index / 8);
}

// In units of 2^-64, rounded up. Sums of 2^32 costs fit.
using RenyiCosts = std::array<Uint128, kOrders>;

// R(1 + excess / 128) of one event: 0 < epsilon0_nano <= kEpsilonNanoMax, excess and granules > 0
// (checked); a sensitivity above kSensitivityMax counts as that, which is safe.
Uint128 laplace_renyi(const LaplaceEvent& event, std::uint64_t excess_128ths);
RenyiCosts laplace_renyi(const LaplaceEvent& event);

// The smallest epsilon, in nano rounded up, with which costs at any of the orders give
// (epsilon, delta): R + ln(1 - 1/alpha) - ln(delta · alpha) / (alpha - 1) (Canonne, Kamath and
// Steinke 2020). 0 < delta_pico < 10^12 (checked).
std::int64_t epsilon_of(const RenyiCosts& costs, std::int64_t delta_pico);
// The same from one order: for comparison with published values.
std::int64_t epsilon_of(Uint128 cost, std::uint64_t excess_128ths, std::int64_t delta_pico);

}  // namespace fedmesh::privacy
