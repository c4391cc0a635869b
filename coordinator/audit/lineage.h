// From a verified ledger and a matched model to the report.
#pragma once

#include "base/result.h"
#include "coordinator/audit/audit.h"
#include "coordinator/audit/recount.h"
#include "coordinator/ledger/chain.h"
#include "coordinator/ledger/export.h"

namespace fedmesh::audit {

// The model's attested training round. not_found: there is none; the detail lists those there are.
// corruption: there is one, but its file is not what the round promises. Errors name the model.
Result<protocol::RoundState> match_model(const AuditInput& input, const ledger::State& state);

// Everything but the statements.
AuditReport trace(const AuditInput& input, const ledger::Export& ledger, const ledger::State& state,
                  const protocol::RoundState& match, const Recount& recount);

std::vector<Statement> statements_of(const AuditReport& report);

}  // namespace fedmesh::audit
