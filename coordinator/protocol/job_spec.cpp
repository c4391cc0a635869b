#include "coordinator/protocol/job_spec.h"

#include "base/crypto/digest.h"
#include "coordinator/protocol/job_check.h"

namespace fedmesh::protocol {

Result<void> JobSpec::validate() const {
  const auto problems = check_job(*this);
  if (problems.empty()) return {};
  return invalid_argument(problems.front().to_string());
}

Digest JobSpec::config_hash() const {
  return crypto::Blake2b("fedmesh/config/v1").add(codec::encode(*this)).finish();
}

}  // namespace fedmesh::protocol
