// Conduct reputation: how reliably a node did the duties that it was assigned. An exponential
// moving average with weight 0.05 over duties, in micro-units, integers only. It decides who may
// aggregate, never how much an update counts.
#pragma once

#include <cstdint>
#include <optional>

#include "coordinator/ledger/state.h"
#include "coordinator/protocol/state.h"

namespace fedmesh::rounds {

inline constexpr std::int64_t kConductListed = 500'000;    // at genesis
inline constexpr std::int64_t kConductAdmitted = 100'000;  // admitted later
inline constexpr std::int64_t kConductElectable = 500'000;

std::int64_t conduct_after(std::int64_t conduct_micro, bool done);

// Credits every member, validator and cohort worker of a round that is over. `failed_in` is the
// phase in which a round became void: its aggregators are charged only for the duty of that phase,
// its workers not for what the aggregators failed to do. Workers that missed are not charged when
// fewer than 60 % of the cohort revealed: that is an incident of the network, not of its workers.
void settle_conduct(ledger::State& state, const protocol::RoundState& round,
                    std::optional<protocol::RoundPhase> failed_in = std::nullopt);

}  // namespace fedmesh::rounds
