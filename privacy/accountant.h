// Tracks how much of a job's (epsilon, delta) budget is reserved and spent, in integers that are
// rounded up: with delta = 0 the sum of the events' epsilons, exactly; with delta > 0 the smaller
// of that sum and Renyi composition of discrete Laplace noise (renyi.h). Never under-reports, given
// that the events' epsilons are fixed by the job before it starts (see README.md).
// Not thread-safe: owned by whoever executes blocks.
#pragma once

#include <cstdint>
#include <vector>

#include "base/codec/codec.h"
#include "base/result.h"
#include "privacy/renyi.h"

namespace fedmesh::privacy {

struct Budget {
  std::int64_t epsilon_nano = 0;
  std::int64_t delta_pico = 0;  // 10^-12; 0: pure epsilon
  FM_FIELDS(epsilon_nano, delta_pico)
  friend bool operator==(const Budget&, const Budget&) = default;
};

// Equal Laplace events and how many of them.
struct Charge {
  std::int64_t epsilon0_nano = 0;
  std::uint64_t sensitivity_granules = 1;
  std::uint64_t count = 0;
  FM_FIELDS(epsilon0_nano, sensitivity_granules, count)
  friend bool operator==(const Charge&, const Charge&) = default;
};

// Canonical; lives in the ledger state. Each list is sorted by (epsilon0, sensitivity), without
// duplicates, counts above zero.
struct AccountantState {
  Budget total;
  std::vector<Charge> charged;
  std::vector<Charge> reserved;
  FM_FIELDS(total, charged, reserved)
  friend bool operator==(const AccountantState&, const AccountantState&) = default;
};

class Accountant {
 public:
  static constexpr std::size_t kKindsMax = 64;                         // different events per list
  static constexpr std::uint64_t kEventsMax = std::uint64_t{1} << 31;  // events per list

  // invalid_argument unless 0 < epsilon <= a million and 0 <= delta < 1.
  static Result<Accountant> create(Budget total);
  // corruption: not a state that an accountant gave.
  static Result<Accountant> from_state(AccountantState state);

  // The true L1 sensitivity in granules gives the tightest bound where delta > 0; the default holds
  // for any. exhausted: the event would overspend (the detail has asked, spent, reserved, total) or
  // exceeds one of the limits above. On any error nothing changes.
  Result<void> reserve(std::int64_t epsilon0_nano, std::uint64_t sensitivity_granules = 1);
  // not_found: no such reservation.
  Result<void> charge_reserved(std::int64_t epsilon0_nano, std::uint64_t sensitivity_granules = 1);
  Result<void> release(std::int64_t epsilon0_nano, std::uint64_t sensitivity_granules = 1);

  std::int64_t epsilon_spent_nano() const;          // upper bound, at the budget's delta
  std::int64_t epsilon_with_reserved_nano() const;  // never above the total
  const AccountantState& state() const { return state_; }

 private:
  explicit Accountant(AccountantState state) : state_(std::move(state)) {}
  AccountantState state_;
};

// invalid_argument says what a budget may be.
Result<void> validate(const Budget& budget);

// Upper bound on the epsilon of all these events together at the given delta, saturating at the
// largest int64.
std::int64_t composed_epsilon_nano(const std::vector<Charge>& first,
                                   const std::vector<Charge>& second, std::int64_t delta_pico);

}  // namespace fedmesh::privacy
