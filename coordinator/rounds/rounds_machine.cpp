#include "coordinator/rounds/rounds_machine.h"

#include <algorithm>

#include "coordinator/rounds/conduct.h"
#include "coordinator/rounds/evidence.h"
#include "coordinator/rounds/job_transitions.h"
#include "coordinator/rounds/round_phases.h"
#include "coordinator/rounds/round_records.h"
#include "coordinator/rounds/state_access.h"

namespace fedmesh::rounds {
namespace {

using ledger::Record;
using ledger::RecordKind;

Result<void> apply_admit(const Record& record, ledger::State& state) {
  if (!state.contains(operator_key(record.author_id())))
    return unauthenticated("only an operator named in the genesis admits nodes");
  if (!record.job.is_zero()) return invalid_argument("an admit record names no job");
  FM_TRY(const auto admit, protocol::decode_payload<protocol::Admit>(record.payload));
  if ((admit.roles & ~protocol::kAllRoles) != 0)
    return invalid_argument("admit names an unknown role");
  const bool printable = std::all_of(admit.name.begin(), admit.name.end(),
                                     [](char c) { return c >= ' ' && c <= '~'; });
  if (admit.name.size() > ledger::kMaxNameBytes || !printable)
    return invalid_argument("a node's name has at most 64 printable ASCII characters");
  const NodeId id = crypto::node_id_of(admit.key.view());
  auto node = node_state(state, id).value_or(
      protocol::NodeState{admit.key, 0, "", kConductAdmitted, 0, false});
  node.roles = admit.roles;
  node.name = admit.name;
  node.banned = false;
  store(state, protocol::node_key(id), node);
  return {};
}

}  // namespace

Result<void> RoundsMachine::init(const ledger::Genesis& genesis, ledger::State& state) const {
  for (const auto& key : genesis.operators)
    state.put(operator_key(crypto::node_id_of(key.view())), Bytes{1});
  for (const auto& participant : genesis.participants) {
    protocol::NodeState node;
    node.key = participant.key;
    node.roles = participant.roles;
    node.name = participant.name;
    node.conduct_micro = kConductListed;
    store(state, protocol::node_key(crypto::node_id_of(participant.key.view())), node);
  }
  return {};
}

Result<void> RoundsMachine::apply(const ledger::BlockContext& context, const Record& record,
                                  ledger::State& state) const {
  switch (record.kind) {
    case RecordKind::admit:
      return apply_admit(record, state);
    case RecordKind::job:
      return apply_job(context, record, state);
    case RecordKind::stop:
      return apply_stop(context, record, state);
    case RecordKind::enrol:
      return apply_enrol(record, state);
    case RecordKind::decline:
      return apply_decline(record, state);
    case RecordKind::beacon:
      return apply_beacon(context, record, state);
    case RecordKind::accept:
      return apply_accept(record, state);
    case RecordKind::commit:
      return apply_commit(record, state);
    case RecordKind::reveal:
      return apply_reveal(record, state);
    case RecordKind::avail:
      return apply_avail(record, state);
    case RecordKind::attest:
      return apply_attest(record, state);
    case RecordKind::score_commit:
      return apply_score_commit(record, state);
    case RecordKind::score_reveal:
      return apply_score_reveal(context, record, state);
    case RecordKind::evidence:
      return apply_evidence(context, record, state);
  }
  return invalid_argument("a record of an unknown kind");
}

void RoundsMachine::end_block(const ledger::BlockContext& context, ledger::State& state) const {
  for (const JobId& job : live_jobs(state)) advance_job(context, job, state);
}

std::optional<Instant> RoundsMachine::next_deadline(const ledger::State& state) const {
  std::optional<Instant> next;
  for (const JobId& id : live_jobs(state)) {
    const auto job = require<protocol::JobState>(state, protocol::job_key(id));
    if (job.phase_deadline_ms == 0) continue;
    if (!next || job.phase_deadline_ms < next->ms) next = Instant{job.phase_deadline_ms};
  }
  return next;
}

}  // namespace fedmesh::rounds
