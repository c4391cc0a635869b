// Conduct reputation: how reliably a node did the duties that it was assigned. An exponential
// moving average with weight 0.05 over duties, in micro-units, integers only. It decides who may
// aggregate, never how much an update counts.
#pragma once

#include <cstdint>

#include "coordinator/ledger/state.h"
#include "coordinator/protocol/state.h"

namespace fedmesh::rounds {

inline constexpr std::int64_t kConductListed = 500'000;    // at genesis
inline constexpr std::int64_t kConductAdmitted = 100'000;  // admitted later
inline constexpr std::int64_t kConductElectable = 500'000;

std::int64_t conduct_after(std::int64_t conduct_micro, bool done);

// Credits every member, validator and cohort worker of a round that is over. Workers that missed
// are not charged when fewer than 60 % of the cohort revealed: that is an incident of the network,
// not of its workers.
void settle_conduct(ledger::State& state, const protocol::RoundState& round);

}  // namespace fedmesh::rounds
