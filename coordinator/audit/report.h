// What an audit says: where a model came from, as values, as text and as JSON. Every statement
// carries how strong it is; README.md says what the three words mean.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/ids.h"
#include "coordinator/protocol/state.h"

namespace fedmesh::audit {

enum class Strength : std::uint8_t {
  proved,    // whoever repeats the audit finds the same, or a hash or signature is broken
  attested,  // k of n named nodes signed it; whether it is true is their word
  claimed,   // somebody said so
};

struct Statement {
  Strength strength = Strength::claimed;
  std::uint32_t k = 0;  // attested: k of n
  std::uint32_t n = 0;
  std::string text;

  std::string label() const;  // "proved", "attested 1 of 1", "claimed"
};

struct CohortEntry {
  NodeId worker;
  std::string name;  // from the node's state; printable
  Digest data_root;
  std::uint64_t record_count = 0;
  bool committed = false;
  bool revealed = false;
  bool in_set = false;  // its update is in the aggregate
};

struct AggregatorEntry {
  NodeId member;
  std::string name;
  bool attested = false;  // to the round's aggregate
};

struct RoundEntry {
  protocol::Slot slot;
  protocol::RoundKind kind = protocol::RoundKind::training;
  protocol::RoundPhase phase = protocol::RoundPhase::accepting;
  std::string reason;  // of a void round
  Height opened_height;
  std::optional<Height> closed_height;  // none: still open
  std::int64_t opened_ms = 0;
  std::int64_t closed_ms = 0;  // 0: still open
  std::vector<CohortEntry> cohort;
  std::vector<AggregatorEntry> aggregators;
  std::uint32_t replaced = 0;             // aggregators that did not accept in time
  std::uint32_t committee_tier = 0;       // protocol::RoundState
  std::uint32_t attestations = 0;         // k, of aggregators.size(); 0: no aggregate
  std::optional<protocol::Attest> model;  // the aggregate; of a query round: its result
  std::optional<protocol::Score> validation;
  std::uint32_t scores = 0;      // validators that opened a score
  std::uint32_t validators = 0;  // drawn
  std::int64_t epsilon_nano = 0;
  bool charged = false;
};

struct AuditReport {
  // the model
  std::string model_name;
  std::uint64_t model_bytes = 0;
  Digest model_sha256;
  Digest model_root;
  protocol::Slot slot;  // the attested training round whose model it is, the newest if several
  bool newest = false;  // no later training round of the job has a model

  // the ledger
  std::string network;
  ChainId chain;
  bool chain_pinned = false;  // the caller gave the chain id; else it is what the file says
  std::int64_t genesis_ms = 0;
  std::uint32_t committee = 0;  // members of the consensus committee
  std::uint64_t blocks = 0;
  std::uint64_t records = 0;
  std::int64_t head_ms = 0;

  // the job
  JobId job;
  std::string owner_name;
  protocol::JobSpec spec;
  protocol::JobState state;  // at the export's head
  std::uint64_t job_records = 0;
  std::vector<RoundEntry> rounds;  // every attempt, in order
  std::int64_t epsilon_spent_nano = 0;
  std::int64_t epsilon_charged_nano = 0;  // until and including the model's round

  std::vector<Statement> statements;  // proved first, claimed last
};

// For people: at most 100 columns, except that nothing is cut that must be compared.
std::string to_text(const AuditReport& report);
// One object; keys are stable, hashes are hex, epsilon is in nano units, times are milliseconds.
std::string to_json(const AuditReport& report);

// Text from a ledger with everything that could steer a terminal replaced by '?'.
std::string printable(std::string_view text);

}  // namespace fedmesh::audit
