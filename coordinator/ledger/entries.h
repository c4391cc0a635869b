// The state entries that the chain itself keeps, beside those of the state machine.
#pragma once

#include <cstdint>
#include <string>

#include "base/bytes.h"
#include "base/codec/codec.h"
#include "base/ids.h"
#include "base/result.h"

namespace fedmesh::ledger {

// "joblog/<job hex>" -> JobLogEntry: the log of all records that name the job. Its size and root
// prove completeness per job: nothing was left out.
struct JobLogEntry {
  std::uint64_t size = 0;
  Digest root;
  friend bool operator==(const JobLogEntry&, const JobLogEntry&) = default;
  FM_FIELDS(size, root)
};
std::string job_log_key(const JobId& job);

// "seq/<author id hex>/<job hex>" -> the canonical integer of the author's last author_seq there.
std::string author_seq_key(const NodeId& author, const JobId& job);
Bytes encode_author_seq(std::uint64_t seq);
Result<std::uint64_t> decode_author_seq(ByteView value);

}  // namespace fedmesh::ledger
