// Records of an open round: who may send them, in which phase, once per slot. They only note facts;
// what follows from them is decided at the end of the block (round_phases.h).
#pragma once

#include "coordinator/ledger/state_machine.h"

namespace fedmesh::rounds {

Result<void> apply_accept(const ledger::Record& record, ledger::State& state);
Result<void> apply_commit(const ledger::Record& record, ledger::State& state);
Result<void> apply_reveal(const ledger::Record& record, ledger::State& state);
Result<void> apply_avail(const ledger::Record& record, ledger::State& state);
Result<void> apply_attest(const ledger::Record& record, ledger::State& state);
Result<void> apply_score_commit(const ledger::Record& record, ledger::State& state);
Result<void> apply_score_reveal(const ledger::BlockContext& context, const ledger::Record& record,
                                ledger::State& state);

}  // namespace fedmesh::rounds
