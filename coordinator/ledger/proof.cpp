#include "coordinator/ledger/proof.h"

namespace fedmesh::ledger {
namespace {

constexpr codec::Limits kProofLimits{.bytes = kMaxProofBytes,
                                     .elements = kMaxStateProofDepth,
                                     .blob = kMaxRecordBytes + kMaxStateKeyBytes,
                                     .depth = 8};

Result<void> check_final(const Genesis& genesis, const Header& header,
                         const Certificate& certificate) {
  if (header.version != kHeaderVersion || header.chain != chain_id(genesis))
    return invalid_argument("the header is not of this chain, " + chain_id(genesis).short_hex());
  return verify_certificate(certificate, header, genesis.committee);
}

}  // namespace

StateEntry state_entry(const State& state, std::string_view key) {
  const Bytes* value = state.get(key);
  return {std::string(key), value ? std::optional<Bytes>(*value) : std::nullopt, state.prove(key)};
}

Result<void> verify_state_entry(const Digest& state_root, const StateEntry& entry) {
  const std::optional<ByteView> value =
      entry.value ? std::optional<ByteView>(*entry.value) : std::nullopt;
  return verify_state_proof(state_root, entry.key, value, entry.proof);
}

Bytes encode_proof(const StateEntryProof& proof) { return codec::encode(proof); }
Bytes encode_proof(const RecordProof& proof) { return codec::encode(proof); }

Result<StateEntryProof> decode_state_entry_proof(ByteView bytes) {
  return codec::decode<StateEntryProof>(bytes, kProofLimits);
}

Result<RecordProof> decode_record_proof(ByteView bytes) {
  return codec::decode<RecordProof>(bytes, kProofLimits);
}

Result<StateEntryProof> prove_state_entry(const Chain& chain, std::string_view key) {
  if (chain.head_header() == nullptr) return unavailable("no block is final yet");
  return StateEntryProof{*chain.head_header(), *chain.head_certificate(),
                         state_entry(chain.state(), key)};
}

Result<RecordProof> prove_record(const Chain& chain, const Digest& record_hash) {
  const RecordLocation* location = chain.find(record_hash);
  if (location == nullptr) return not_found("no record " + record_hash.hex() + " is in a block");
  FM_TRY(const Record record, chain.record_at(*location));
  RecordProof proof;
  proof.record = encode_record(record);
  if (record.job.is_zero()) {
    proof.index = location->log_index;
    FM_TRY(proof.path, chain.log().inclusion_proof(proof.index, chain.log().size()));
  } else {
    const MerkleLog& log = chain.job_log(record.job)->log;
    proof.index = location->job_index;
    FM_TRY(proof.path, log.inclusion_proof(proof.index, log.size()));
    proof.job_entry = state_entry(chain.state(), job_log_key(record.job));
  }
  proof.header = *chain.head_header();
  proof.certificate = *chain.head_certificate();
  return proof;
}

Result<std::optional<Bytes>> verify_proof(const Genesis& genesis, const StateEntryProof& proof) {
  FM_TRY_VOID(check_final(genesis, proof.header, proof.certificate));
  FM_TRY_VOID(verify_state_entry(proof.header.state_root, proof.entry));
  return proof.entry.value;
}

Result<Record> verify_proof(const Genesis& genesis, const RecordProof& proof) {
  FM_TRY_VOID(check_final(genesis, proof.header, proof.certificate));
  FM_TRY(Record record, decode_record(proof.record));
  FM_TRY_VOID(verify_record(record, proof.header.chain));
  JobLogEntry log{proof.header.log_size, proof.header.log_root};
  if (record.job.is_zero() == proof.job_entry.has_value())
    return invalid_argument("a job entry belongs to the proofs of records that name a job");
  if (proof.job_entry) {
    if (proof.job_entry->key != job_log_key(record.job) || !proof.job_entry->value)
      return invalid_argument("the state entry is not that of the log of job " +
                              record.job.short_hex());
    FM_TRY_VOID(verify_state_entry(proof.header.state_root, *proof.job_entry));
    FM_TRY(log, codec::decode<JobLogEntry>(*proof.job_entry->value));
  }
  FM_TRY_VOID(
      verify_inclusion(merkle_leaf(proof.record), proof.index, log.size, proof.path, log.root));
  return record;
}

}  // namespace fedmesh::ledger
