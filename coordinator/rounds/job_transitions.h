// The life of a job: submitted, enrolling, rounds, an end with a reason. Part of the ledger's state
// machine.
#pragma once

#include <string>

#include "coordinator/ledger/state_machine.h"
#include "coordinator/protocol/state.h"

namespace fedmesh::rounds {

Result<void> apply_job(const ledger::BlockContext& context, const ledger::Record& record,
                       ledger::State& state);
Result<void> apply_stop(const ledger::BlockContext& context, const ledger::Record& record,
                        ledger::State& state);
Result<void> apply_enrol(const ledger::Record& record, ledger::State& state);
Result<void> apply_decline(const ledger::Record& record, ledger::State& state);
Result<void> apply_beacon(const ledger::BlockContext& context, const ledger::Record& record,
                          ledger::State& state);

// Whatever the job and its open round do by themselves at this block: early ends, deadlines, the
// next round.
void advance_job(const ledger::BlockContext& context, const JobId& job, ledger::State& state);

// Ends the job in a terminal phase.
void end_job(ledger::State& state, protocol::JobState& job, protocol::JobPhase phase,
             std::string reason);

}  // namespace fedmesh::rounds
