#include "coordinator/ledger/record.h"

#include "coordinator/ledger/merkle.h"

namespace fedmesh::ledger {
namespace {

constexpr std::string_view kDomain = "fedmesh/record/v1";

// The fields that are signed, in the order of the record.
struct SignedPart {
  const Record& record;
  auto fm_tie() const {
    return std::tie(record.kind, record.version, record.chain, record.author, record.job,
                    record.author_seq, record.payload);
  }
};

}  // namespace

bool is_known(RecordKind kind) { return kind >= RecordKind::admit && kind <= RecordKind::evidence; }

const char* to_string(RecordKind kind) {
  switch (kind) {
    case RecordKind::admit:
      return "admit";
    case RecordKind::job:
      return "job";
    case RecordKind::stop:
      return "stop";
    case RecordKind::enrol:
      return "enrol";
    case RecordKind::decline:
      return "decline";
    case RecordKind::beacon:
      return "beacon";
    case RecordKind::accept:
      return "accept";
    case RecordKind::commit:
      return "commit";
    case RecordKind::reveal:
      return "reveal";
    case RecordKind::avail:
      return "avail";
    case RecordKind::attest:
      return "attest";
    case RecordKind::score_commit:
      return "score_commit";
    case RecordKind::score_reveal:
      return "score_reveal";
    case RecordKind::evidence:
      return "evidence";
  }
  return "unknown";
}

Bytes record_signed_bytes(const Record& record) {
  Bytes message = to_bytes(as_bytes(kDomain));
  append(message, codec::encode(SignedPart{record}));
  return message;
}

Record sign_record(const crypto::SigningKey& key, RecordKind kind, const ChainId& chain,
                   const JobId& job, std::uint64_t author_seq, Bytes payload) {
  Record record;
  record.kind = kind;
  record.chain = chain;
  record.author = key.public_key();
  record.job = job;
  record.author_seq = author_seq;
  record.payload = std::move(payload);
  record.signature = key.sign(record_signed_bytes(record));
  return record;
}

Result<void> verify_record(const Record& record, const ChainId& chain) {
  if (record.version != kRecordVersion)
    return invalid_argument("record version " + std::to_string(record.version) +
                            ", this program knows version " + std::to_string(kRecordVersion));
  if (!is_known(record.kind))
    return invalid_argument("record kind " + std::to_string(static_cast<int>(record.kind)) +
                            " is not known");
  if (record.chain != chain)
    return invalid_argument("record belongs to chain " + record.chain.short_hex() +
                            ", this is chain " + chain.short_hex());
  if (record.author_seq == 0) return invalid_argument("author_seq starts at 1");
  // The payload bound first: encoding something huge to learn its size would be wasteful.
  if (record.payload.size() > kMaxRecordBytes || encode_record(record).size() > kMaxRecordBytes)
    return invalid_argument("record is longer than " + std::to_string(kMaxRecordBytes) + " bytes");
  if (!crypto::verify(record.author, record_signed_bytes(record), record.signature))
    return unauthenticated("signature does not verify");
  return {};
}

Bytes encode_record(const Record& record) { return codec::encode(record); }

Result<Record> decode_record(ByteView bytes) {
  return codec::decode<Record>(
      bytes, {.bytes = kMaxRecordBytes, .elements = 16, .blob = kMaxRecordBytes, .depth = 2});
}

Digest record_hash(const Record& record) { return merkle_leaf(encode_record(record)); }

}  // namespace fedmesh::ledger
