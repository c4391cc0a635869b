// A second opinion on a job: what its records say, worked out from the records alone and compared
// with the state that the state machine arrived at. It shares no code with the state machine beyond
// encodings and hashes, so that a defect of one is found by the other. It does not repeat elections
// and deadlines: those stand on re-execution alone (README.md).
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <vector>

#include "base/ids.h"
#include "base/result.h"
#include "coordinator/ledger/export.h"
#include "coordinator/ledger/state.h"
#include "coordinator/protocol/state.h"

namespace fedmesh::audit {

// A record of the job with its place.
struct JobRecord {
  const ledger::Record* record = nullptr;
  const ledger::Header* header = nullptr;  // of its block
  std::size_t index = 0;                   // within the block
  Digest hash;                             // record_hash

  std::string place() const;  // "block 12, record 3 (commit)"
};

// In ledger order. The export must outlive the result.
std::vector<JobRecord> records_of(const ledger::Export& ledger, const JobId& job);

struct Recount {
  protocol::JobSpec spec;
  std::uint64_t records = 0;                         // of the job
  std::vector<protocol::RoundState> rounds;          // as in the state, in slot order
  std::map<protocol::Slot, std::uint32_t> attested;  // members that attested exactly the aggregate
  std::map<protocol::Slot, Height> opened;           // the block of the round's beacon
  std::int64_t epsilon_spent_nano = 0;               // at the head
  std::map<protocol::Slot, std::int64_t> spent_so_far;  // after that round
};

// `records` are all of the job in the ledger whose execution gives `state`. corruption: records and
// state contradict each other, or a record contradicts the protocol; the detail names the record or
// the round.
Result<Recount> recount(const ledger::Genesis& genesis, const std::vector<JobRecord>& records,
                        const ledger::State& state, const JobId& job);

}  // namespace fedmesh::audit
