// The payloads of the ledger's records. Dumb data; field order is the wire format
// (coordinator/rounds/PROTOCOL.md). The job is in the record's envelope, the author is the
// envelope's key.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/codec/codec.h"
#include "base/crypto/keys.h"
#include "base/ids.h"
#include "coordinator/ledger/genesis.h"
#include "coordinator/protocol/job_spec.h"

namespace fedmesh::protocol {

// Bits of Admit::roles: those of the genesis.
using Role = ledger::Role;
inline constexpr Role kRoleCoordinator = ledger::kCoordinator;
inline constexpr Role kRoleAggregator = ledger::kAggregator;
inline constexpr Role kRoleWorker = ledger::kWorker;
inline constexpr Role kRoleValidator = ledger::kValidator;
inline constexpr Role kRoleSubmitter = ledger::kSubmitter;
inline constexpr std::uint32_t kAllRoles = ledger::kAllRoles;

// operator -> ledger: lets a key take part (permissioned networks). roles = 0 removes it.
struct Admit {
  crypto::PublicKey key;
  std::uint32_t roles = 0;
  std::string name;
  FM_FIELDS(key, roles, name)
};

// submitter -> ledger.
struct Job {
  JobSpec spec;
  FM_FIELDS(spec)
};
struct Stop {
  std::string reason;
  FM_FIELDS(reason)
};

// worker -> ledger, once per job, after its consent check.
struct Enrol {
  Digest data_root;                // models/data commitment.h: salted Merkle root
  std::uint64_t record_count = 0;  // public; the denominator of record-level rounds
  Digest schema_hash;
  std::uint32_t memory_mb = 0;
  bool gpu = false;
  FM_FIELDS(data_root, record_count, schema_hash, memory_mb, gpu)
};
// worker -> ledger: not this job; the reason stays with the worker.
struct Decline {
  bool whole_job = true;
  FM_FIELDS(whole_job)
};

struct Slot {  // names the round instance that a record is for
  RoundNumber round;
  Attempt attempt;
  FM_FIELDS(round, attempt)
  friend auto operator<=>(const Slot&, const Slot&) = default;
};

// consensus committee of one -> ledger, before a round opens. Labelled "claimed" by the audit.
struct Beacon {
  Slot slot;
  std::array<std::uint8_t, 32> randomness{};
  FM_FIELDS(slot, randomness)
};

// aggregator -> ledger: takes the duty, with a fresh encryption key whose private half is erased
// when the round is over.
struct Accept {
  Slot slot;
  crypto::X25519Public round_key;
  FM_FIELDS(slot, round_key)
};

// worker -> ledger, before the commit deadline.
struct Commit {
  Slot slot;
  Digest commitment;  // hides the update: see commitment() below
  FM_FIELDS(slot, commitment)
};

struct SealedKey {
  NodeId member;
  Bytes box;
  FM_FIELDS(member, box)
};

// worker -> ledger, before the reveal deadline: where the sealed update is, and its key for each
// member (sealing.h).
struct Reveal {
  Slot slot;
  std::uint8_t suite = 1;
  Digest ciphertext_root;
  std::uint64_t length = 0;     // of the ciphertext
  std::vector<SealedKey> keys;  // one per member, in rank order
  FM_FIELDS(slot, suite, ciphertext_root, length, keys)
};

// member -> ledger: bit i (least significant first) = reveal of cohort member i checked and kept.
struct Avail {
  Slot slot;
  Bytes bitmap;
  FM_FIELDS(slot, bitmap)
};

// member -> ledger: what the frozen reveal set gives. In a query round model_* is the query's
// result.
struct Attest {
  Slot slot;
  Digest base_root;     // blob root of the state the next round starts from
  Digest model_root;    // blob root of the released safetensors file
  Digest model_sha256;  // of the same file
  Digest binding;       // attest_binding() below
  FM_FIELDS(slot, base_root, model_root, model_sha256, binding)
};

// validator -> ledger: first the hash, then the scores, so that nobody copies.
struct ScoreCommit {
  Slot slot;
  Digest commitment;
  FM_FIELDS(slot, commitment)
};
struct Score {
  std::int64_t loss_micro = 0;  // mean log loss
  std::uint64_t correct = 0;
  std::uint64_t count = 0;
  FM_FIELDS(loss_micro, correct, count)
  friend bool operator==(const Score&, const Score&) = default;
};
struct ScoreReveal {
  Slot slot;
  Score score;
  std::array<std::uint8_t, 32> salt{};
  FM_FIELDS(slot, score, salt)
};

// anybody admitted -> ledger: two commit records that one worker signed for one slot. Whoever did
// that is banned until an operator admits it anew.
struct Evidence {
  Bytes first;  // the encoded records, in the order of their bytes
  Bytes second;
  FM_FIELDS(first, second)
};

// C = H("fedmesh/commit/v1" ‖ chain ‖ job ‖ round ‖ attempt ‖ base ‖ worker ‖ data_root ‖
// update_digest ‖ trace_root ‖ salt); update_digest as in sealing.h.
Digest commitment(const ChainId& chain, const JobId& job, const Slot& slot, const Digest& base_root,
                  const NodeId& worker, const Digest& data_root, const Digest& update_digest,
                  const Digest& trace_root, const std::array<std::uint8_t, 32>& salt);
Digest score_commitment(const ChainId& chain, const JobId& job, const Slot& slot,
                        const NodeId& validator, const Score& score,
                        const std::array<std::uint8_t, 32>& salt);
// H("fedmesh/attest/v1" ‖ config ‖ S_root ‖ base_root ‖ model_root ‖ model_sha256)
Digest attest_binding(const Digest& config_hash, const Digest& reveal_set_root,
                      const Digest& base_root, const Digest& model_root,
                      const Digest& model_sha256);
// H("fedmesh/noise/v1" ‖ chain ‖ job ‖ round ‖ attempt ‖ config ‖ S_root ‖ seed shares in worker
// order)
Digest noise_seed(const ChainId& chain, const JobId& job, const Slot& slot,
                  const Digest& config_hash, const Digest& reveal_set_root,
                  const std::vector<std::array<std::uint8_t, 32>>& seed_shares);

// The payload as bytes and back; decoding refuses whatever is not canonical.
inline codec::Limits payload_limits() {
  return {.bytes = 1u << 20, .elements = 4096, .blob = 1u << 20, .depth = 12};
}
template <class Payload>
Result<Payload> decode_payload(ByteView bytes) {
  return codec::decode<Payload>(bytes, payload_limits());
}

}  // namespace fedmesh::protocol
