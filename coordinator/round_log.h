// What happens to rounds, for the event log: one typed event for every phase and every final
// record, derived from the ledger's state alone. `fedmesh explain` reads them. Only what the ledger
// says publicly enters: ids, names, phases, counts, reasons; no digest, no value of an update.
//
// Every event has the fields job, round, attempt and height; its time is the block's. The others:
//
//   round.opened      kind, cohort, members (how many); job_name
//   round.phase       phase, deadline_ms, awaited (node ids, separated by spaces)
//   round.accepted, committed, revealed, availed, attested, score_committed, scored
//                     node, phase (which was answered); node_name
//   round.excluded    node, yes, needed: revealed, but too few members could check its update
//   round.replaced    node, by: an aggregator that did not accept in time
//   round.finished    in_set, attestations
//   round.void        reason
//
// An event that ends a phase (round.phase, finished, void) also has ended (the phase), because
// ("all answered", "quorum", "deadline" or "stopped") and missing (node ids). Phases are named as
// by to_string(RoundPhase). New kinds and fields may be added; readers ignore what they do not
// know.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "base/event_log.h"
#include "coordinator/ledger/state.h"
#include "coordinator/protocol/state.h"

namespace fedmesh::coordinator {

// Who still has to answer in a phase of the round.
std::vector<NodeId> unanswered(const protocol::RoundState& round, protocol::RoundPhase phase);

// What one block did to a round: `before` is nullptr where it was not seen before. A round that is
// first seen while under way is opened with its own times; who had answered by then is not said.
// Pure.
std::vector<LogEvent> round_events(const protocol::RoundState* before,
                                   const protocol::RoundState& after, Height height, Instant at);

// Remembers the newest round of every job. Not thread-safe: owned by the loop thread.
class RoundLog {
 public:
  // After a block, with the state keys that it changed; those of other things are ignored.
  std::vector<LogEvent> step(const ledger::State& state, const std::vector<std::string>& changed,
                             Height height, Instant at);

 private:
  std::map<JobId, protocol::RoundState> newest_;  // of jobs that have not ended
};

}  // namespace fedmesh::coordinator
