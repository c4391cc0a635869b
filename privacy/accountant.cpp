#include "privacy/accountant.h"

#include <algorithm>
#include <limits>
#include <string>
#include <tuple>
#include <utility>

namespace fedmesh::privacy {
namespace {

constexpr std::int64_t kPico = 1'000'000'000'000;

auto key_of(const Charge& charge) {
  return std::tuple(charge.epsilon0_nano, charge.sensitivity_granules);
}

auto place_of(std::vector<Charge>& list, const Charge& event) {
  return std::lower_bound(list.begin(), list.end(), event,
                          [](const Charge& a, const Charge& b) { return key_of(a) < key_of(b); });
}

void add_one(std::vector<Charge>& list, Charge event) {
  const auto at = place_of(list, event);
  if (at != list.end() && key_of(*at) == key_of(event)) {
    ++at->count;
  } else {
    event.count = 1;
    list.insert(at, event);
  }
}

bool remove_one(std::vector<Charge>& list, const Charge& event) {
  const auto at = place_of(list, event);
  if (at == list.end() || key_of(*at) != key_of(event)) return false;
  if (--at->count == 0) list.erase(at);
  return true;
}

bool is_event(std::int64_t epsilon0_nano, std::uint64_t sensitivity_granules) {
  return epsilon0_nano > 0 && epsilon0_nano <= kEpsilonNanoMax && sensitivity_granules > 0;
}

std::uint64_t events_in(const std::vector<Charge>& list) {
  std::uint64_t total = 0;
  for (const Charge& charge : list) total += charge.count;  // counts are limited when they enter
  return total;
}

Result<void> check_list(const std::vector<Charge>& list) {
  if (list.size() > Accountant::kKindsMax) return corruption("too many kinds of privacy charges");
  std::uint64_t total = 0;
  for (std::size_t i = 0; i < list.size(); ++i) {
    const Charge& charge = list[i];
    if (!is_event(charge.epsilon0_nano, charge.sensitivity_granules) || charge.count == 0 ||
        charge.count > Accountant::kEventsMax)
      return corruption("a privacy charge is out of range");
    if (i > 0 && key_of(list[i - 1]) >= key_of(charge))
      return corruption("privacy charges are not sorted");
    total += charge.count;
  }
  if (total > Accountant::kEventsMax) return corruption("too many privacy charges");
  return {};
}

// "0.090000000": exact.
std::string nano_text(std::int64_t nano) {
  const std::string digits = std::to_string(nano % 1'000'000'000);
  return std::to_string(nano / 1'000'000'000) + "." + std::string(9 - digits.size(), '0') + digits;
}

Charge event_of(std::int64_t epsilon0_nano, std::uint64_t sensitivity_granules) {
  return {.epsilon0_nano = epsilon0_nano, .sensitivity_granules = sensitivity_granules, .count = 0};
}

}  // namespace

Result<void> validate(const Budget& budget) {
  if (budget.epsilon_nano <= 0 || budget.epsilon_nano > kEpsilonNanoMax)
    return invalid_argument("a privacy budget's epsilon is above 0 and at most 1000000");
  if (budget.delta_pico < 0 || budget.delta_pico >= kPico)
    return invalid_argument("a privacy budget's delta is at least 0 and below 1");
  return {};
}

std::int64_t composed_epsilon_nano(const std::vector<Charge>& first,
                                   const std::vector<Charge>& second, std::int64_t delta_pico) {
  Uint128 sum = 0;
  RenyiCosts costs{};
  for (const auto* list : {&first, &second})
    for (const Charge& charge : *list) {
      sum += static_cast<Uint128>(charge.epsilon0_nano) * charge.count;
      if (delta_pico == 0) continue;
      const RenyiCosts one =
          laplace_renyi(LaplaceEvent{charge.epsilon0_nano, charge.sensitivity_granules});
      for (std::size_t i = 0; i < kOrders; ++i) costs[i] += one[i] * charge.count;
    }
  const Uint128 limit = std::numeric_limits<std::int64_t>::max();
  const auto basic = static_cast<std::int64_t>(std::min(sum, limit));
  return delta_pico == 0 || sum == 0 ? basic : std::min(basic, epsilon_of(costs, delta_pico));
}

Result<Accountant> Accountant::create(Budget total) {
  FM_TRY_VOID(validate(total));
  return Accountant(AccountantState{.total = total, .charged = {}, .reserved = {}});
}

Result<Accountant> Accountant::from_state(AccountantState state) {
  if (!validate(state.total).ok()) return corruption("a privacy budget is out of range");
  FM_TRY_VOID(check_list(state.charged));
  FM_TRY_VOID(check_list(state.reserved));
  Accountant out(std::move(state));
  if (out.epsilon_with_reserved_nano() > out.state_.total.epsilon_nano)
    return corruption("more privacy is charged and reserved than the budget allows");
  return out;
}

Result<void> Accountant::reserve(std::int64_t epsilon0_nano, std::uint64_t sensitivity_granules) {
  if (!is_event(epsilon0_nano, sensitivity_granules))
    return invalid_argument(
        "an event's epsilon is above 0 and at most 1000000, its sensitivity above 0");
  AccountantState next = state_;
  add_one(next.reserved, event_of(epsilon0_nano, sensitivity_granules));
  // Every reservation may become a charge, so the two lists together keep the limits of one.
  if (events_in(next.reserved) + events_in(next.charged) > kEventsMax ||
      next.reserved.size() + next.charged.size() > kKindsMax)
    return exhausted("a job has at most " + std::to_string(kEventsMax) +
                     " private releases, of at most " + std::to_string(kKindsMax) + " kinds");
  const std::int64_t after =
      composed_epsilon_nano(next.charged, next.reserved, next.total.delta_pico);
  if (after > next.total.epsilon_nano) {
    const std::int64_t spent = epsilon_spent_nano();
    return exhausted("privacy budget: asked for epsilon " + nano_text(epsilon0_nano) + ", spent " +
                     nano_text(spent) + ", reserved " +
                     nano_text(epsilon_with_reserved_nano() - spent) + ", total " +
                     nano_text(next.total.epsilon_nano) + "; it would become " + nano_text(after));
  }
  state_ = std::move(next);
  return {};
}

Result<void> Accountant::charge_reserved(std::int64_t epsilon0_nano,
                                         std::uint64_t sensitivity_granules) {
  const Charge event = event_of(epsilon0_nano, sensitivity_granules);
  if (!remove_one(state_.reserved, event))
    return not_found("no reservation of epsilon " + std::to_string(epsilon0_nano) + " nano");
  add_one(state_.charged, event);
  return {};
}

Result<void> Accountant::release(std::int64_t epsilon0_nano, std::uint64_t sensitivity_granules) {
  if (!remove_one(state_.reserved, event_of(epsilon0_nano, sensitivity_granules)))
    return not_found("no reservation of epsilon " + std::to_string(epsilon0_nano) + " nano");
  return {};
}

std::int64_t Accountant::epsilon_spent_nano() const {
  return composed_epsilon_nano(state_.charged, {}, state_.total.delta_pico);
}

std::int64_t Accountant::epsilon_with_reserved_nano() const {
  return composed_epsilon_nano(state_.charged, state_.reserved, state_.total.delta_pico);
}

}  // namespace fedmesh::privacy
