// The worker's own word: which jobs it takes part in, whatever the network admits. A refusal is
// told to nobody else; the ledger sees a decline without a reason.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/crypto/keys.h"
#include "base/ids.h"
#include "base/result.h"
#include "coordinator/protocol/job_spec.h"
#include "models/data/architecture.h"

namespace fedmesh::worker {

// What this machine has. Of 0 MB nothing is known: every demand for memory is refused.
struct Capabilities {
  std::uint32_t memory_mb = 0;
  bool gpu = false;
};

// A time of day in UTC, from included to excluded; may pass midnight.
struct Hours {
  int from_minute = 0;
  int to_minute = 0;
};

struct ConsentPolicy {
  std::vector<NodeId> submitters;                       // none: whoever the network admits
  std::vector<models::ArchitectureKind> architectures;  // none: every built-in one
  bool require_privacy = false;                         // only jobs that release noisy sums
  // Both imply require_privacy: a job without noise has no finite epsilon.
  std::optional<std::int64_t> max_epsilon_per_job_nano;
  std::optional<std::int64_t> max_epsilon_nano;  // over all jobs this worker ever consented to

  std::optional<Hours> hours;  // none: always; outside of them this worker sits rounds out

  bool works_at(Instant time) const;
  // "22:00-06:00". invalid_argument says what is allowed.
  Result<void> set_hours(const std::string& text);
  // A submitter is a node id or a public key in hex; an architecture its name.
  // invalid_argument says which entry, and what is allowed.
  Result<void> allow_submitter(const std::string& hex);
  Result<void> allow_architecture(const std::string& name);
};

// unauthenticated: the submitter; exhausted: epsilon; invalid_argument: anything else. The detail
// is for the worker's owner. `spent_nano` is what earlier consents have granted.
Result<void> check(const ConsentPolicy& policy, const Capabilities& capabilities,
                   const protocol::JobSpec& spec, const crypto::PublicKey& owner,
                   std::int64_t spent_nano);

// Whether so many records may enrol. Where a job sums over records, what one of them adds is
// bounded, and the sum of all is an int32: a silo for which it might not fit would lose
// contributions without a word. exhausted: the detail says what the job would have to be.
Result<void> check_records(const protocol::JobSpec& spec, std::uint64_t records);

// Whether tasks for `device` (cpu, cuda or auto) run on a GPU, of a trainer that has these devices.
// invalid_argument: cuda is asked for and it has none; the detail is for whoever started the
// worker.
Result<bool> uses_gpu(const std::string& device, const std::vector<std::string>& trainer_devices);

}  // namespace fedmesh::worker
