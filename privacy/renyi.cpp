#include "privacy/renyi.h"

#include <algorithm>
#include <limits>
#include <map>
#include <utility>

#include "base/check.h"

namespace fedmesh::privacy {
namespace {

constexpr std::uint64_t kNano = 1'000'000'000;
constexpr std::uint64_t kPico = 1'000'000'000'000;

// The computed values err by less than 2^-64 (see below), so one unit more is an upper bound.
Uint128 rounded_up(const Fixed& value) { return value.units_64() + 2; }
Uint128 rounded_down(const Fixed& value) {
  const Uint128 units = value.units_64();
  return units > 0 ? units - 1 : 0;
}

// Units of 2^-64 to nano, rounded up, saturating.
std::int64_t to_nano(Uint128 units) {
  const Uint128 whole = (units >> 64) * kNano;
  const Uint128 fraction = (static_cast<Uint128>(static_cast<std::uint64_t>(units)) * kNano +
                            std::numeric_limits<std::uint64_t>::max()) >>
                           64;
  const Uint128 limit = std::numeric_limits<std::int64_t>::max();
  return static_cast<std::int64_t>(std::min(whole + fraction, limit));
}

}  // namespace

// Precision: 1/b >= 2^-70, so 1 - t keeps 90 correct bits and more; the logarithm's argument lies
// in [1/2, 1] and the division by alpha - 1 >= 1/128 loses 7 bits. The error is below 2^-80.
Uint128 laplace_renyi(const LaplaceEvent& event, std::uint64_t excess_128ths) {
  FM_CHECK(event.epsilon0_nano > 0 && event.epsilon0_nano <= kEpsilonNanoMax &&
               event.sensitivity_granules > 0 && excess_128ths > 0,
           "the event was validated by the accountant");
  const std::uint64_t granules = std::min(event.sensitivity_granules, kSensitivityMax);
  const auto epsilon = static_cast<Uint128>(event.epsilon0_nano);
  const Uint128 slope = 128 + 2 * static_cast<Uint128>(excess_128ths);  // 128 (2 alpha - 1)
  const Fixed one = Fixed::integer(1);
  const Fixed q = exp_minus(Fixed::ratio(epsilon, static_cast<Uint128>(granules) * kNano));
  const Fixed t =
      exp_minus(Fixed::ratio(epsilon * slope, static_cast<Uint128>(granules) * kNano * 128));
  const Fixed far = exp_minus(Fixed::ratio(epsilon * slope, static_cast<Uint128>(kNano) * 128));
  const Fixed share = q <= t ? Fixed() : (q - t) / ((one + q) * (one - t));
  const Fixed relief = minus_log(one - share * (one - far)) * 128 / excess_128ths;
  const Fixed epsilon0 = Fixed::ratio(epsilon, kNano);
  const Uint128 cost = rounded_up(epsilon0 <= relief ? Fixed() : epsilon0 - relief);
  return std::min(cost, rounded_up(epsilon0));
}

namespace {

RenyiCosts compute_costs(const LaplaceEvent& event) {
  RenyiCosts out{};
  for (std::size_t i = 0; i < kOrders; ++i) out[i] = laplace_renyi(event, order_excess_128ths(i));
  return out;
}

// What the conversion adds to a cost at one order, in units of 2^-64, rounded up.
__int128 conversion_of(std::uint64_t excess_128ths, std::int64_t delta_pico) {
  FM_CHECK(delta_pico > 0 && delta_pico < static_cast<std::int64_t>(kPico) && excess_128ths > 0,
           "the budget was validated by the accountant");
  const std::uint64_t order_128ths = 128 + excess_128ths;
  const Fixed log_order = minus_log(Fixed::ratio(128, order_128ths));
  const Fixed log_shrink = minus_log(Fixed::ratio(excess_128ths, order_128ths));
  const Fixed log_delta = minus_log(Fixed::ratio(static_cast<Uint128>(delta_pico), kPico));
  return static_cast<__int128>(rounded_up(log_delta * 128 / excess_128ths)) -
         static_cast<__int128>(rounded_down(log_shrink)) -
         static_cast<__int128>(rounded_down(log_order * 128 / excess_128ths));
}

using Conversion = std::array<__int128, kOrders>;

Conversion compute_conversion(std::int64_t delta_pico) {
  Conversion out{};
  for (std::size_t i = 0; i < kOrders; ++i)
    out[i] = conversion_of(order_excess_128ths(i), delta_pico);
  return out;
}

// A job asks for the same few functions at every block and one takes a millisecond, so each thread
// remembers the latest.
template <class Key, class Value, class Compute>
const Value& remembered(std::map<Key, Value>& memory, const Key& key, const Compute& compute) {
  constexpr std::size_t kRemembered = 64;
  const auto at = memory.find(key);
  if (at != memory.end()) return at->second;
  if (memory.size() >= kRemembered) memory.clear();
  return memory.emplace(key, compute()).first->second;
}

std::int64_t epsilon_with(Uint128 cost, __int128 conversion) {
  const __int128 units = static_cast<__int128>(cost) + conversion;
  return units > 0 ? to_nano(static_cast<Uint128>(units)) : 0;
}

}  // namespace

RenyiCosts laplace_renyi(const LaplaceEvent& event) {
  thread_local std::map<std::pair<std::int64_t, std::uint64_t>, RenyiCosts> memory;
  return remembered(memory, {event.epsilon0_nano, event.sensitivity_granules},
                    [&] { return compute_costs(event); });
}

std::int64_t epsilon_of(Uint128 cost, std::uint64_t excess_128ths, std::int64_t delta_pico) {
  return epsilon_with(cost, conversion_of(excess_128ths, delta_pico));
}

std::int64_t epsilon_of(const RenyiCosts& costs, std::int64_t delta_pico) {
  thread_local std::map<std::int64_t, Conversion> memory;
  const Conversion& conversion =
      remembered(memory, delta_pico, [&] { return compute_conversion(delta_pico); });
  std::int64_t best = std::numeric_limits<std::int64_t>::max();
  for (std::size_t i = 0; i < kOrders; ++i)
    best = std::min(best, epsilon_with(costs[i], conversion[i]));
  return best;
}

}  // namespace fedmesh::privacy
