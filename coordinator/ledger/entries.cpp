#include "coordinator/ledger/entries.h"

namespace fedmesh::ledger {

std::string job_log_key(const JobId& job) { return "joblog/" + job.hex(); }

std::string author_seq_key(const NodeId& author, const JobId& job) {
  return "seq/" + author.hex() + "/" + job.hex();
}

Bytes encode_author_seq(std::uint64_t seq) { return codec::encode(seq); }

Result<std::uint64_t> decode_author_seq(ByteView value) {
  return codec::decode<std::uint64_t>(value);
}

}  // namespace fedmesh::ledger
