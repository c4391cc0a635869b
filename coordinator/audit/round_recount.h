// One round of a job: what its records say against what the state says of it.
#pragma once

#include <cstdint>

#include "base/ids.h"
#include "base/result.h"
#include "coordinator/audit/job_story.h"
#include "coordinator/protocol/state.h"

namespace fedmesh::audit {

struct RoundQuestion {
  const ChainId& chain;
  const protocol::JobSpec& spec;
  const Digest& config_hash;
  const Digest& base_root;  // what the rounds before have left
  const RoundStory& story;
  const protocol::RoundState& round;
};

// How many members attested exactly the round's aggregate, 0 where there is none. corruption: what
// contradicts what, without the round's name, which the caller adds.
Result<std::uint32_t> recount_round(const RoundQuestion& question);

}  // namespace fedmesh::audit
