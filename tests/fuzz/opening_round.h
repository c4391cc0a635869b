// The job and the round whose openings the target `opening` checks.
#pragma once

#include "coordinator/protocol/state.h"
#include "tests/coordinator/protocol/sample_job.h"

namespace fedmesh::fuzz {

inline constexpr ChainId kOpeningChain{{7}};
inline constexpr std::uint64_t kOpeningRecords = 500;

inline const protocol::JobSpec& opening_job() {
  static const protocol::JobSpec kSpec = protocol::record_job();
  return kSpec;
}

// One worker, which has committed to nothing yet.
inline protocol::RoundState opening_round(protocol::RoundKind kind) {
  protocol::RoundState round;
  round.kind = kind;
  round.phase = protocol::RoundPhase::revealing;
  protocol::CohortSlot slot;
  slot.worker = protocol::sample_id<NodeTag>(1);
  slot.record_count = kOpeningRecords;
  round.cohort.push_back(slot);
  return round;
}

}  // namespace fedmesh::fuzz
