// The unit of everything a participant says for ever: a signed, canonical envelope around a payload
// whose meaning belongs to its kind (coordinator/protocol). Wire form: FORMAT.md.
#pragma once

#include <cstdint>

#include "base/bytes.h"
#include "base/codec/codec.h"
#include "base/crypto/digest.h"
#include "base/crypto/keys.h"
#include "base/ids.h"
#include "base/result.h"

namespace fedmesh::ledger {

// Numbers are the wire format: never reused, new kinds are appended.
enum class RecordKind : std::uint8_t {
  admit = 1,
  job = 2,
  stop = 3,
  enrol = 4,
  decline = 5,
  beacon = 6,
  accept = 7,
  commit = 8,
  reveal = 9,
  avail = 10,
  attest = 11,
  score_commit = 12,
  score_reveal = 13,
  evidence = 14,
};

bool is_known(RecordKind kind);
const char* to_string(RecordKind kind);  // "commit"; "unknown" for a number without a name

inline constexpr std::uint32_t kRecordVersion = 1;
inline constexpr std::size_t kMaxRecordBytes = 256u << 10;  // encoded, signature included

// Field order is the wire format.
struct Record {
  RecordKind kind = RecordKind::admit;
  std::uint32_t version = kRecordVersion;
  ChainId chain;
  crypto::PublicKey author;
  JobId job;  // zero where there is none. A `job` record names the job it creates
              // (an id that its payload determines), so that it leads that log.
  std::uint64_t author_seq = 0;  // from 1, strictly increasing per (author, job), gaps allowed
  Bytes payload;
  crypto::Signature signature;

  NodeId author_id() const { return crypto::node_id_of(author.view()); }
  friend bool operator==(const Record&, const Record&) = default;
  FM_FIELDS(kind, version, chain, author, job, author_seq, payload, signature.bytes)
};

// What the author signs: "fedmesh/record/v1" ‖ the canonical array of the fields before the
// signature.
Bytes record_signed_bytes(const Record& record);

// The caller keeps the encoded record within kMaxRecordBytes (else every verifier refuses it).
Record sign_record(const crypto::SigningKey& key, RecordKind kind, const ChainId& chain,
                   const JobId& job, std::uint64_t author_seq, Bytes payload);

// invalid_argument: kind, version, chain, author_seq or size; unauthenticated: the signature.
Result<void> verify_record(const Record& record, const ChainId& chain);

Bytes encode_record(const Record& record);
// corruption: not canonical or too long. The signature is not checked.
Result<Record> decode_record(ByteView bytes);

// The record's name, and its leaf in every log: the RFC 6962 leaf hash of its encoding.
Digest record_hash(const Record& record);

}  // namespace fedmesh::ledger
