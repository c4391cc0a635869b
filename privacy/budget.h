// Planning with a budget: what a job's owner is told before anything is spent.
#pragma once

#include <cstdint>

#include "base/result.h"
#include "privacy/accountant.h"

namespace fedmesh::privacy {

// How many more equal events fit beside what is charged and reserved, at most Accountant's limit.
// invalid_argument: the event is out of range.
Result<std::uint64_t> events_that_fit(const Accountant& accountant, const LaplaceEvent& event);

// The largest epsilon0 per event, in nano, with which `count` equal events fit into a fresh budget.
// invalid_argument: the budget, the sensitivity or the count (1 up to the limit) is out of range.
// exhausted: not even the smallest fits.
Result<std::int64_t> epsilon_per_event(const Budget& total, std::uint64_t count,
                                       std::uint64_t sensitivity_granules = 1);

}  // namespace fedmesh::privacy
