// The ledger state that jobs and rounds leave behind: canonical values under text keys, proven to
// light clients. Written only by coordinator/rounds while it executes blocks; read by everybody.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "coordinator/protocol/round_records.h"
#include "privacy/accountant.h"

namespace fedmesh::protocol {

enum class JobPhase : std::uint8_t {
  enrolling = 1,                // workers answer
  waiting_for_workers = 2,      // too few are enrolled (or took part); resumes by itself
  waiting_for_aggregators = 3,  // nobody eligible to aggregate; resumes by itself
  drawing = 4,                  // waits for the beacon of the next round
  running = 5,                  // a round is open
  finished = 6,
  stopped = 7,
  failed = 8,
};
inline bool is_known(JobPhase p) { return p >= JobPhase::enrolling && p <= JobPhase::failed; }
inline bool is_terminal(JobPhase p) { return p >= JobPhase::finished; }
const char* to_string(JobPhase phase);

// "job/<job>"
struct JobState {
  JobId id;
  crypto::PublicKey owner;
  std::string name;
  Digest config_hash;
  std::int64_t submitted_ms = 0;
  JobPhase phase = JobPhase::enrolling;
  std::string reason;                  // what it waits for, or why it ended
  std::int64_t phase_deadline_ms = 0;  // 0: none
  Slot next;                           // the round that is open or opens next
  std::uint32_t void_rounds = 0;       // consecutive
  privacy::AccountantState privacy;
  Digest base_root;   // what the next round trains from (blob root)
  Digest model_root;  // newest released model
  Digest model_sha256;
  Digest standardisation_root;      // zero until (or unless) a query round has set it
  std::vector<NodeId> enrolled;     // id order
  std::vector<NodeId> declined;     // id order
  Digest beacon;                    // of the newest round
  std::optional<Score> validation;  // newest median
  std::uint32_t rounds_done = 0;    // training rounds
  FM_FIELDS(id, owner, name, config_hash, submitted_ms, phase, reason, phase_deadline_ms, next,
            void_rounds, privacy, base_root, model_root, model_sha256, standardisation_root,
            enrolled, declined, beacon, validation, rounds_done)
};

enum class RoundKind : std::uint8_t { training = 1, standardisation = 2 };
inline bool is_known(RoundKind k) {
  return k == RoundKind::training || k == RoundKind::standardisation;
}

enum class RoundPhase : std::uint8_t {
  accepting = 1,   // aggregators take the duty
  committing = 2,  // workers train and commit
  revealing = 3,
  checking = 4,     // avail
  aggregating = 5,  // attest
  scoring = 6,      // score commitments
  unveiling = 7,    // score openings
  finished = 8,
  voided = 9,
};
inline bool is_known(RoundPhase p) { return p >= RoundPhase::accepting && p <= RoundPhase::voided; }
inline bool is_over(RoundPhase p) { return p >= RoundPhase::finished; }
const char* to_string(RoundPhase phase);

struct CohortSlot {
  NodeId worker;
  Digest data_root;
  std::uint64_t record_count = 0;
  std::optional<Digest> commitment;
  std::optional<Digest> reveal;  // leaf hash (RFC 6962, SHA-256) of the reveal record
  std::uint32_t yes = 0;         // members that checked and kept it
  bool in_set = false;           // member of S
  FM_FIELDS(worker, data_root, record_count, commitment, reveal, yes, in_set)
};

struct MemberSlot {
  NodeId member;
  std::optional<crypto::X25519Public> round_key;  // accepted
  bool availed = false;
  std::optional<Digest> attested;  // binding
  FM_FIELDS(member, round_key, availed, attested)
};

struct ValidatorSlot {
  NodeId validator;
  std::optional<Digest> commitment;
  std::optional<Score> score;
  FM_FIELDS(validator, commitment, score)
};

// "round/<job>/<round>/<attempt>"
struct RoundState {
  JobId job;
  Slot slot;
  RoundKind kind = RoundKind::training;
  RoundPhase phase = RoundPhase::accepting;
  std::string reason;  // of a voided round
  std::int64_t opened_ms = 0;
  std::int64_t phase_opened_ms = 0;
  std::int64_t deadline_ms = 0;  // of the phase
  std::int64_t closed_ms = 0;
  Height closed_height;  // block in which it finished or became void
  Digest beacon;
  Digest base_root;
  Digest config_hash;
  std::int64_t epsilon_nano = 0;  // reserved at open, charged when S freezes
  bool charged = false;
  std::vector<CohortSlot> cohort;    // id order
  std::vector<MemberSlot> members;   // rank order
  std::vector<NodeId> replacements;  // rank order; whoever replaces a silent member next
  std::uint32_t committee_tier =
      0;  // 0 all rules, 1 without the term limit, 2 any reputation, 3 the owner
  std::vector<NodeId> replaced;
  std::optional<Digest> reveal_set_root;  // S_root, once frozen
  std::optional<Attest> aggregate;        // what q_a members attested
  std::uint32_t attestations = 0;         // how many attested exactly that
  std::vector<ValidatorSlot> validators;  // id order
  std::optional<Score> validation;        // median
  FM_FIELDS(job, slot, kind, phase, reason, opened_ms, phase_opened_ms, deadline_ms, closed_ms,
            closed_height, beacon, base_root, config_hash, epsilon_nano, charged, cohort, members,
            replacements, committee_tier, replaced, reveal_set_root, aggregate, attestations,
            validators, validation)

  std::uint32_t faults() const {
    return (static_cast<std::uint32_t>(members.size()) - 1) / 3;
  }  // f_a
  std::uint32_t quorum() const {
    return static_cast<std::uint32_t>(members.size()) - faults();
  }  // q_a
};

// "contribution/<job>/<round>/<worker>": a worker's receipt is this value with its proof.
struct Contribution {
  JobId job;
  Slot slot;
  NodeId worker;
  Digest commitment;
  bool revealed = false;
  bool in_set = false;
  std::uint64_t record_count = 0;
  FM_FIELDS(job, slot, worker, commitment, revealed, in_set, record_count)
};

// "node/<node>": who may take part, and how duties were done (conduct, micro-units, 500000 at
// genesis).
struct NodeState {
  crypto::PublicKey key;
  std::uint32_t roles = 0;
  std::string name;
  std::int64_t conduct_micro = 0;
  std::uint32_t consecutive_terms = 0;  // as rank 0
  bool banned = false;                  // by evidence; without any role until admitted anew
  FM_FIELDS(key, roles, name, conduct_micro, consecutive_terms, banned)
};

std::string job_key(const JobId& job);
std::string spec_key(const JobId& job);                       // JobSpec
std::string enrol_key(const JobId& job, const NodeId& node);  // Enrol
std::string round_key(const JobId& job,
                      const Slot& slot);  // numbers zero-padded: text order is round order
std::string round_prefix(const JobId& job);
std::string contribution_key(const JobId& job, const RoundNumber& round, const NodeId& worker);
std::string node_key(const NodeId& node);
inline constexpr const char* kJobPrefix = "job/";
inline constexpr const char* kNodePrefix = "node/";

// A state value as bytes and back, with the limits that these types need.
template <class T>
Result<T> decode_state(ByteView bytes) {
  return codec::decode<T>(bytes,
                          {.bytes = 4u << 20, .elements = 1u << 14, .blob = 1u << 20, .depth = 12});
}

}  // namespace fedmesh::protocol
