// What a job is, in integers: the canonical form that is signed, hashed into the ledger and read by
// every node. The TOML file that people write is turned into this by job_file.h; no TOML text is
// ever hashed.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "base/clock.h"
#include "base/codec/codec.h"
#include "base/crypto/keys.h"
#include "base/ids.h"
#include "models/data/architecture.h"
#include "models/data/schema.h"
#include "models/data/training_options.h"
#include "privacy/accountant.h"

namespace fedmesh::protocol {

enum class PrivacyUnit : std::uint8_t { worker = 1, record = 2 };
inline bool is_known(PrivacyUnit v) { return v == PrivacyUnit::worker || v == PrivacyUnit::record; }

enum class Mechanism : std::uint8_t { none = 1, laplace = 2 };
inline bool is_known(Mechanism v) { return v == Mechanism::none || v == Mechanism::laplace; }

enum class WeightMode : std::uint8_t { uniform = 1, examples = 2 };
inline bool is_known(WeightMode v) { return v == WeightMode::uniform || v == WeightMode::examples; }

enum class Visibility : std::uint8_t { plain = 1 };
inline bool is_known(Visibility v) { return v == Visibility::plain; }

enum class Standardise : std::uint8_t { none = 1, bounds = 2, private_query = 3 };
inline bool is_known(Standardise v) {
  return v >= Standardise::none && v <= Standardise::private_query;
}

enum class TooFew : std::uint8_t { wait = 1, end = 2 };
inline bool is_known(TooFew v) { return v == TooFew::wait || v == TooFew::end; }

struct TrainingSpec {
  models::TrainingOptions options;  // unit record: learning_rate_nano alone
  bool average_iterates = false;    // the released model is the mean of all rounds' iterates
  std::int64_t input_scale_nano = 1'000'000'000;  // multiplies every input after standardisation
  FM_FIELDS(options, average_iterates, input_scale_nano)
};

struct FederationSpec {
  std::uint32_t rounds = 1;
  std::uint32_t max_participants = 50;
  std::uint32_t min_updates = 1;
  std::uint64_t max_records =
      100'000;                 // that one worker may enrol with: bounds what a false count can do
  std::int64_t enrol_ms = 0;   // enrolment ends early when every admitted worker has answered
  std::int64_t commit_ms = 0;  // training and commitment
  std::int64_t reveal_ms = 0;
  std::int64_t committee_ms = 0;   // accept, avail, attest
  std::int64_t evaluation_ms = 0;  // score commitment, and again score opening
  bool allow_owner = false;
  std::optional<std::int64_t> target_accuracy_micro;  // ends the job when a round reaches it
  TooFew on_too_few = TooFew::wait;
  std::uint32_t max_void_rounds = 5;  // consecutive; then the job fails
  FM_FIELDS(rounds, max_participants, min_updates, max_records, enrol_ms, commit_ms, reveal_ms,
            committee_ms, evaluation_ms, allow_owner, target_accuracy_micro, on_too_few,
            max_void_rounds)
};

struct AggregationSpec {
  std::string rule = "mean";
  WeightMode weight = WeightMode::uniform;
  std::uint32_t weight_cap = 1;  // examples: weight = min(examples, cap)
  Visibility visibility = Visibility::plain;
  std::uint32_t aggregators = 1;  // 1, 4, 7, ...; the largest possible number is used
  FM_FIELDS(rule, weight, weight_cap, visibility, aggregators)
};

struct PrivacySpec {
  PrivacyUnit unit = PrivacyUnit::worker;
  Mechanism mechanism = Mechanism::none;
  std::uint32_t fraction_bits = 20;  // a granule is 2^-fraction_bits
  std::int64_t clip_granules =
      0;  // L1 bound of one unit's contribution; 0 = no clip (mechanism none)
  std::int64_t epsilon_per_round_nano = 0;
  privacy::Budget total;  // rounds and charged queries together
  FM_FIELDS(unit, mechanism, fraction_bits, clip_granules, epsilon_per_round_nano, total)
};

struct PreprocessingSpec {
  Standardise standardise = Standardise::none;
  std::int64_t epsilon_nano = 0;  // private_query with mechanism laplace
  std::uint32_t fraction_bits = 14;
  FM_FIELDS(standardise, epsilon_nano, fraction_bits)
};

// A public data set (models/data encode_dataset) that validators score the released models on.
struct EvaluationSpec {
  bool enabled = false;
  Digest blob_root;
  std::uint64_t blob_bytes = 0;
  FM_FIELDS(enabled, blob_root, blob_bytes)
};

struct RequirementsSpec {
  std::uint32_t memory_mb = 0;
  bool gpu = false;
  FM_FIELDS(memory_mb, gpu)
};

struct VerificationSpec {
  std::uint32_t validators = 1;  // at most; drawn by the beacon from the enrolled validators
  FM_FIELDS(validators)
};

struct JobSpec {
  std::string name;
  models::Architecture architecture;
  std::uint64_t initial_seed = 0;
  models::Schema schema;
  TrainingSpec training;
  FederationSpec federation;
  AggregationSpec aggregation;
  PrivacySpec privacy;
  PreprocessingSpec preprocessing;
  EvaluationSpec evaluation;
  RequirementsSpec requirements;
  VerificationSpec verification;
  FM_FIELDS(name, architecture, initial_seed, schema, training, federation, aggregation, privacy,
            preprocessing, evaluation, requirements, verification)

  // invalid_argument names the field and what is allowed. Everything that a node may rely on later:
  // bounded sizes, no overflow of any sum, a budget that covers at least one round.
  Result<void> validate() const;
  Digest config_hash() const;  // blake2b("fedmesh/config/v1" ‖ canonical encoding)
  bool is_private() const { return privacy.mechanism != Mechanism::none; }
  bool has_query_round() const { return preprocessing.standardise == Standardise::private_query; }
};

// blake2b("fedmesh/job/v1" ‖ chain ‖ author ‖ author_seq ‖ canonical spec)
JobId job_id(const ChainId& chain, const crypto::PublicKey& author, std::uint64_t author_seq,
             const JobSpec& spec);

}  // namespace fedmesh::protocol
