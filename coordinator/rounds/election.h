// Who takes part in a round: the cohort of workers, the aggregator committee with its replacements,
// the validators. Pure functions of the state and the round's beacon. Rules and tiers: PROTOCOL.md,
// "Elections".
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "coordinator/ledger/state.h"
#include "coordinator/protocol/state.h"

namespace fedmesh::rounds {

// Enrolled workers that are still admitted, drawn by conduct, at most max_participants, in id
// order.
std::vector<protocol::CohortSlot> draw_cohort(const ledger::State& state,
                                              const protocol::JobState& job,
                                              const protocol::JobSpec& spec, const Digest& beacon);

struct Committee {
  std::vector<NodeId> members;       // rank order, size 1, 4, 7, ...
  std::vector<NodeId> replacements;  // next ranks
  std::uint32_t tier = 0;            // as RoundState::committee_tier
};
// nullopt: nobody is eligible.
std::optional<Committee> elect_committee(const ledger::State& state, const protocol::JobState& job,
                                         const protocol::JobSpec& spec, const Digest& beacon);

// From the enrolled nodes with the validator role, at most spec.verification.validators, in id
// order.
std::vector<NodeId> draw_validators(const ledger::State& state, const protocol::JobState& job,
                                    const protocol::JobSpec& spec, const Digest& beacon);

}  // namespace fedmesh::rounds
