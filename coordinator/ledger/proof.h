// Statements about the ledger that carry their own evidence: verified from the genesis alone, with
// no access to a chain. Not part of consensus; wire form in FORMAT.md.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/bytes.h"
#include "base/codec/codec.h"
#include "base/ids.h"
#include "base/result.h"
#include "coordinator/ledger/block.h"
#include "coordinator/ledger/chain.h"
#include "coordinator/ledger/genesis.h"
#include "coordinator/ledger/merkle.h"
#include "coordinator/ledger/sparse_merkle.h"

namespace fedmesh::ledger {

// A key with its value, or with its absence, under some state root.
struct StateEntry {
  std::string key;
  std::optional<Bytes> value;
  StateProof proof;
  friend bool operator==(const StateEntry&, const StateEntry&) = default;
  FM_FIELDS(key, value, proof)
};
StateEntry state_entry(const State& state, std::string_view key);
Result<void> verify_state_entry(const Digest& state_root, const StateEntry& entry);

struct StateEntryProof {
  Header header;
  Certificate certificate;
  StateEntry entry;
  friend bool operator==(const StateEntryProof&, const StateEntryProof&) = default;
  FM_FIELDS(header, certificate, entry)
};

// A record is in the log of its job, whose size and root are a state entry under a final header;
// or, if it names no job, in the global log of that header.
struct RecordProof {
  Bytes record;                         // encoded
  std::uint64_t index = 0;              // in that log
  MerkleProof path;                     // from the record's leaf to the log's root
  std::optional<StateEntry> job_entry;  // "joblog/<job hex>"; exactly where the record names a job
  Header header;
  Certificate certificate;
  friend bool operator==(const RecordProof&, const RecordProof&) = default;
  FM_FIELDS(record, index, path, job_entry, header, certificate)
};

inline constexpr std::size_t kMaxProofBytes = 3u << 20;
Bytes encode_proof(const StateEntryProof& proof);
Bytes encode_proof(const RecordProof& proof);
Result<StateEntryProof> decode_state_entry_proof(ByteView bytes);
Result<RecordProof> decode_record_proof(ByteView bytes);

// Under the newest block. unavailable: there is no block yet; not_found: no such record.
Result<StateEntryProof> prove_state_entry(const Chain& chain, std::string_view key);
Result<RecordProof> prove_record(const Chain& chain, const Digest& record_hash);

// The value of proof.entry.key, or nothing where its absence is proven. The caller compares the key
// with the one it asked for.
Result<std::optional<Bytes>> verify_proof(const Genesis& genesis, const StateEntryProof& proof);
// The record, its signature verified.
Result<Record> verify_proof(const Genesis& genesis, const RecordProof& proof);

}  // namespace fedmesh::ledger
