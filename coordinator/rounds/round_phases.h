// How a round moves from phase to phase: early when everybody has answered, otherwise at its
// deadline. Each function is a paragraph of PROTOCOL.md. Called at the end of a block, never by a
// record itself.
#pragma once

#include <string>

#include "coordinator/ledger/state_machine.h"
#include "coordinator/protocol/state.h"

namespace fedmesh::rounds {

// Opens job.next under job.beacon: cohort, committee, budget reserved. Where one of these fails,
// the job's phase and reason say which, with numbers.
void open_round(const ledger::BlockContext& context, ledger::State& state, protocol::JobState& job,
                const protocol::JobSpec& spec);

// Follows the open round as far as the block's records and time carry it.
void advance_round(const ledger::BlockContext& context, ledger::State& state,
                   protocol::JobState& job, const protocol::JobSpec& spec);

// Ends the open round without a result; the reservation is released unless S had frozen. Does not
// touch the job's phase.
void void_round(const ledger::BlockContext& context, ledger::State& state, protocol::JobState& job,
                const std::string& reason);

// Field-wise lower median of the scores over the most common number of rows. `scores` is not empty.
protocol::Score median(std::vector<protocol::Score> scores);

}  // namespace fedmesh::rounds
