#include "privacy/budget.h"

#include <algorithm>

namespace fedmesh::privacy {
namespace {

// The largest value in [low, high] that fits; `low` does. What fits is downward closed.
template <class Int, class Fits>
Int largest(Int low, Int high, const Fits& fits) {
  while (low < high) {
    const Int middle = low + (high - low) / 2 + 1;
    if (fits(middle)) {
      low = middle;
    } else {
      high = middle - 1;
    }
  }
  return low;
}

}  // namespace

Result<std::uint64_t> events_that_fit(const Accountant& accountant, const LaplaceEvent& event) {
  if (event.epsilon0_nano <= 0 || event.epsilon0_nano > kEpsilonNanoMax ||
      event.sensitivity_granules == 0)
    return invalid_argument(
        "an event's epsilon is above 0 and at most 1000000, its sensitivity above 0");
  const AccountantState& state = accountant.state();
  std::vector<Charge> known = state.charged;
  known.insert(known.end(), state.reserved.begin(), state.reserved.end());
  std::uint64_t present = 0;
  for (const Charge& charge : known) present += charge.count;
  return largest<std::uint64_t>(0, Accountant::kEventsMax - present, [&](std::uint64_t count) {
    return composed_epsilon_nano(known, {{event.epsilon0_nano, event.sensitivity_granules, count}},
                                 state.total.delta_pico) <= state.total.epsilon_nano;
  });
}

Result<std::int64_t> epsilon_per_event(const Budget& total, std::uint64_t count,
                                       std::uint64_t sensitivity_granules) {
  FM_TRY_VOID(validate(total));
  if (count == 0 || count > Accountant::kEventsMax || sensitivity_granules == 0)
    return invalid_argument("a plan needs between 1 and 2^31 events and a sensitivity above zero");
  const auto fits = [&](std::int64_t epsilon0_nano) {
    return composed_epsilon_nano({{epsilon0_nano, sensitivity_granules, count}}, {},
                                 total.delta_pico) <= total.epsilon_nano;
  };
  if (!fits(1)) return exhausted("the budget is too small for so many events");
  return largest<std::int64_t>(1, kEpsilonNanoMax, fits);
}

}  // namespace fedmesh::privacy
