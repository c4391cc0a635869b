#include "coordinator/protocol/job_check.h"

#include <algorithm>
#include <bit>

#include "coordinator/protocol/decimal.h"
#include "coordinator/protocol/messages.h"
#include "privacy/noise.h"

namespace fedmesh::protocol {
namespace {

constexpr std::uint64_t kFileHeaderBytes = 64 * 1024;  // of a model file, beside its numbers

std::string nano(std::int64_t value) { return decimal_text(value, kNanoDecimals); }

// Collects what is wrong in one pass over the job, section by section.
class Checker {
 public:
  explicit Checker(const JobSpec& spec) : spec_(spec) {}

  std::vector<JobProblem> run() {
    check_name();
    check_model();
    check_training();
    check_federation();
    check_deadlines();
    check_aggregation();
    check_privacy();
    check_unit();
    check_preprocessing();
    check_budget();
    check_evaluation();
    check_rest();
    return std::move(problems_);
  }

 private:
  void fail(std::string key, std::string detail) {
    problems_.push_back({std::move(key), "", std::move(detail)});
  }
  void contradict(std::string key, std::string other, std::string detail) {
    problems_.push_back({std::move(key), std::move(other), std::move(detail)});
  }
  bool range(const char* key, std::int64_t value, std::int64_t minimum, std::int64_t maximum,
             int decimals = 0) {
    if (value >= minimum && value <= maximum) return true;
    fail(key, "got " + decimal_text(value, decimals) + ", allowed: " +
                  decimal_text(minimum, decimals) + " to " + decimal_text(maximum, decimals));
    return false;
  }
  template <class Enum>
  void known(const char* key, Enum value) {
    if (!is_known(value)) fail(key, "an unknown value");
  }

  bool record_unit() const { return spec_.privacy.unit == PrivacyUnit::record; }

  void check_name();
  void check_model();
  void check_model_size();
  void check_training();
  void check_federation();
  void check_deadlines();
  void check_aggregation();
  void check_privacy();
  void check_no_mechanism();
  void check_noise(const char* key, std::int64_t sensitivity, std::int64_t epsilon_nano);
  void check_unit();
  void check_record_training();
  void check_preprocessing();
  void check_budget();
  void check_evaluation();
  void check_rest();

  const JobSpec& spec_;
  std::vector<JobProblem> problems_;
};

void Checker::check_name() {
  const auto printable = [](char c) { return c >= ' ' && c <= '~'; };
  if (spec_.name.empty() || spec_.name.size() > kNameBytesMax ||
      !std::all_of(spec_.name.begin(), spec_.name.end(), printable))
    fail("name", "allowed: 1 to 100 printable ASCII characters");
}

void Checker::check_model() {
  const auto& architecture = spec_.architecture;
  const auto& schema = spec_.schema;
  const auto schema_status = schema.validate();
  if (!schema_status.ok()) fail("data", schema_status.error().detail);
  const auto model_status = architecture.validate();
  if (!model_status.ok()) fail("model.architecture", model_status.error().detail);
  if (!schema_status.ok() || !model_status.ok()) return;

  const bool images = schema.format == models::DataFormat::images;
  if (architecture.kind == models::ArchitectureKind::cnn && !images)
    contradict("model.architecture", "data.format", "a cnn reads images");
  const std::vector<std::int64_t> shape =
      images ? std::vector<std::int64_t>{schema.channels, schema.height, schema.width}
             : std::vector<std::int64_t>{static_cast<std::int64_t>(schema.features())};
  if (architecture.input_shape != shape)
    contradict("model.architecture", "data.format",
               "the model's input shape must be that of one example");
  if (architecture.classes != schema.classes)
    contradict("model.architecture", "data.classes",
               "the model has " + std::to_string(architecture.classes) + " classes, the data " +
                   std::to_string(schema.classes));
  check_model_size();
}

// Every file that a round moves (update, base model with its running average, released model) fits
// into one blob.
void Checker::check_model_size() {
  std::uint64_t parameters = 0;
  for (const auto& tensor : spec_.architecture.layout()) {
    std::uint64_t count = 1;
    for (const std::int64_t extent : tensor.shape) count *= static_cast<std::uint64_t>(extent);
    parameters += count;  // at most 2^26: the architecture is valid
  }
  const std::uint64_t bytes_each = spec_.training.average_iterates ? 12 : 4;
  const std::uint64_t most = (kMaxBlobBytes - kFileHeaderBytes) / bytes_each;
  if (parameters > most)
    fail("model.architecture", "the model has " + std::to_string(parameters) +
                                   " parameters; allowed: at most " + std::to_string(most) +
                                   (bytes_each == 4 ? "" : " with training.average_iterates"));
}

void Checker::check_training() {
  const auto& options = spec_.training.options;
  range("training.learning_rate", options.learning_rate_nano, 1, kFactorNanoMax, kNanoDecimals);
  range("training.input_scale", spec_.training.input_scale_nano, 1, kFactorNanoMax, kNanoDecimals);
  range("training.local_epochs", options.local_epochs, 1, kLocalEpochsMax);
  range("training.batch_size", options.batch_size, 1, kBatchSizeMax);
  known("training.optimizer", options.optimizer);
  range("training.momentum", options.momentum_nano, 0, kNano - 1, kNanoDecimals);
  range("training.weight_decay", options.weight_decay_nano, 0, kNano, kNanoDecimals);
  range("training.proximal_mu", options.proximal_mu_nano, 0, kFactorNanoMax, kNanoDecimals);
  if (options.optimizer == models::Optimizer::adam && options.momentum_nano != 0)
    contradict("training.momentum", "training.optimizer", "momentum belongs to sgd");
}

void Checker::check_federation() {
  const auto& federation = spec_.federation;
  range("federation.rounds", federation.rounds, 1, kRoundsMax);
  range("federation.max_participants", federation.max_participants, 1, kParticipantsMax);
  range("federation.min_updates", federation.min_updates, 1, kParticipantsMax);
  range("federation.max_records", federation.max_records, 1, kRecordsMax);
  if (federation.min_updates > federation.max_participants)
    contradict("federation.min_updates", "federation.max_participants",
               std::to_string(federation.min_updates) + " updates cannot come from at most " +
                   std::to_string(federation.max_participants) + " participants");
  known("federation.on_too_few", federation.on_too_few);
  range("federation.max_void_rounds", federation.max_void_rounds, 1, kVoidRoundsMax);
  if (!federation.target_accuracy_micro) return;
  range("federation.target_accuracy", *federation.target_accuracy_micro, 1, 1'000'000,
        kMicroDecimals);
  if (!spec_.evaluation.enabled)
    contradict("federation.target_accuracy", "evaluation.data",
               "only a public evaluation measures the accuracy; set evaluation.data = \"public\"");
}

void Checker::check_deadlines() {
  const auto& federation = spec_.federation;
  const auto deadline = [&](const char* key, std::int64_t ms) {
    if (ms < kDeadlineMsMin || ms > kDeadlineMsMax)
      fail(key, "got " + std::to_string(ms) + " ms, allowed: 100ms to 7d");
  };
  deadline("federation.enrol_deadline", federation.enrol_ms);
  deadline("federation.commit_deadline", federation.commit_ms);
  deadline("federation.reveal_deadline", federation.reveal_ms);
  deadline("federation.committee_deadline", federation.committee_ms);
  if (spec_.evaluation.enabled || federation.evaluation_ms != 0)
    deadline("federation.evaluation_deadline", federation.evaluation_ms);
}

void Checker::check_aggregation() {
  const auto& aggregation = spec_.aggregation;
  if (aggregation.rule != "mean") fail("aggregation.rule", "allowed: mean");
  known("aggregation.weight", aggregation.weight);
  known("aggregation.visibility", aggregation.visibility);
  const std::int64_t members = aggregation.aggregators;
  if (members < 1 || members > kAggregatorsMax || members % 3 != 1)
    fail("aggregation.aggregators",
         "got " + std::to_string(members) +
             ", allowed: 1, 4, 7, ... up to 64 (3f+1 members tolerate f bad ones)");
  if (aggregation.weight == WeightMode::uniform) {
    if (aggregation.weight_cap != 1)
      contradict("aggregation.weight_cap", "aggregation.weight",
                 "a cap belongs to weight = \"examples\"; uniform weights are 1");
    return;
  }
  if (spec_.is_private())
    contradict("aggregation.weight", "privacy.mechanism",
               "with privacy on, weights are uniform: the mean needs a public denominator, and a "
               "worker's weight would multiply what one unit can change");
  if (record_unit())
    contradict("aggregation.weight", "privacy.unit",
               "a sum over records counts every record once already; use weight = \"uniform\"");
  const auto bits = [](std::uint32_t value) { return value < 2 ? 0 : std::bit_width(value - 1); };
  // 31 + log2(weight) + log2(participants) <= 62: no sum of weighted int32 values leaves int64.
  if (aggregation.weight_cap < 1)
    fail("aggregation.weight_cap", "got 0, allowed: at least 1");
  else if (31 + bits(aggregation.weight_cap) + bits(spec_.federation.max_participants) > 62)
    contradict("aggregation.weight_cap", "federation.max_participants",
               "cap times participants, each rounded up to a power of two, must be at most 2^31, "
               "so that no sum overflows; got " +
                   std::to_string(aggregation.weight_cap) + " times " +
                   std::to_string(spec_.federation.max_participants));
}

void Checker::check_privacy() {
  const auto& privacy = spec_.privacy;
  known("privacy.unit", privacy.unit);
  known("privacy.mechanism", privacy.mechanism);
  range("privacy.fraction_bits", privacy.fraction_bits, 1, kFractionBitsMax);
  if (privacy.mechanism == Mechanism::none) return check_no_mechanism();
  if (privacy.clip_granules <= 0)
    contradict("privacy.clip_l1", "privacy.mechanism",
               "noise hides a bounded contribution only; give a clip above 0");
  if (privacy.epsilon_per_round_nano == 0)
    contradict("privacy.epsilon_per_round", "privacy.mechanism",
               "noise needs an epsilon above 0 per round");
  else if (range("privacy.epsilon_per_round", privacy.epsilon_per_round_nano, kEpsilonNanoMin,
                 kEpsilonNanoMax, kNanoDecimals) &&
           privacy.clip_granules > 0)
    check_noise("privacy.epsilon_per_round", privacy.clip_granules, privacy.epsilon_per_round_nano);
}

// Noise of this scale can be drawn, and leaves the 64-bit sums room.
void Checker::check_noise(const char* key, std::int64_t sensitivity, std::int64_t epsilon_nano) {
  const auto noise =
      privacy::DiscreteLaplace::create({static_cast<std::uint64_t>(sensitivity), epsilon_nano});
  if (!noise.ok()) fail(key, noise.error().detail);
}

void Checker::check_no_mechanism() {
  const auto& privacy = spec_.privacy;
  const auto unused = [&](const char* key) {
    contradict(key, "privacy.mechanism",
               "nothing is spent without noise; remove it or set a "
               "mechanism");
  };
  if (privacy.epsilon_per_round_nano != 0) unused("privacy.epsilon_per_round");
  if (privacy.total.epsilon_nano != 0) unused("privacy.epsilon_total");
  if (privacy.total.delta_pico != 0) unused("privacy.delta");
}

void Checker::check_unit() {
  const auto& privacy = spec_.privacy;
  const std::int64_t clip = privacy.clip_granules;
  const auto granules = [&] {
    return "got " + std::to_string(clip) + " granules of 2^-" +
           std::to_string(privacy.fraction_bits);
  };
  if (!record_unit()) {
    if (clip < 0 || clip > kClipMax)
      contradict("privacy.clip_l1", "privacy.fraction_bits",
                 granules() + ", allowed: less than 2^31, so that a value fits 32 bits");
    return;
  }
  if (clip != 0 && (clip < kRecordClipMin || clip > kRecordClipMax))
    contradict("privacy.clip_l1", "privacy.fraction_bits",
               granules() +
                   " a record, allowed: 4096 to 65536 (fine enough to keep the direction, small "
                   "enough for a 32-bit sum over records)");
  if (spec_.architecture.kind != models::ArchitectureKind::logistic)
    contradict("privacy.unit", "model.architecture",
               "unit record needs the fixed-order kernel, in which one record's gradient depends "
               "on no other; allowed with it: logistic");
  check_record_training();
}

// One full-batch step per round: the worker sends a sum of gradients, the committee takes the step.
void Checker::check_record_training() {
  const models::TrainingOptions& options = spec_.training.options;
  const models::TrainingOptions defaults;
  const auto unset = [&](const char* key, bool is_default) {
    if (!is_default)
      contradict(key, "privacy.unit",
                 "unit record takes one full-batch gradient step per round; remove it");
  };
  unset("training.local_epochs", options.local_epochs == defaults.local_epochs);
  unset("training.batch_size", options.batch_size == defaults.batch_size);
  unset("training.optimizer", options.optimizer == defaults.optimizer);
  unset("training.momentum", options.momentum_nano == defaults.momentum_nano);
  unset("training.weight_decay", options.weight_decay_nano == defaults.weight_decay_nano);
  unset("training.proximal_mu", options.proximal_mu_nano == defaults.proximal_mu_nano);
}

void Checker::check_preprocessing() {
  const auto& preprocessing = spec_.preprocessing;
  known("preprocessing.standardise", preprocessing.standardise);
  range("preprocessing.fraction_bits", preprocessing.fraction_bits, 1, kFractionBitsMax);
  const bool query = preprocessing.standardise == Standardise::private_query;
  if (query && spec_.is_private()) {
    range("preprocessing.epsilon", preprocessing.epsilon_nano, kEpsilonNanoMin, kEpsilonNanoMax,
          kNanoDecimals);
  } else if (preprocessing.epsilon_nano != 0) {
    contradict("preprocessing.epsilon", query ? "privacy.mechanism" : "preprocessing.standardise",
               "only a noisy query spends epsilon; remove it");
  }
  if (preprocessing.standardise == Standardise::none) return;
  const std::uint64_t columns = spec_.schema.numeric_features().size();
  if (spec_.schema.format != models::DataFormat::csv || columns == 0)
    return contradict("preprocessing.standardise", "data.format",
                      "standardisation is for csv data with a numeric column; set it to \"none\"");
  if (!query) return;
  if (!record_unit())
    contradict("preprocessing.standardise", "privacy.unit",
               "the query sums over records, so it protects records; allowed with unit worker: "
               "public, none");
  // One record moves 2k sums by at most one each.
  if (preprocessing.fraction_bits > kFractionBitsMax) return;
  if (2 * columns > static_cast<std::uint64_t>(kClipMax) >> preprocessing.fraction_bits)
    return fail("preprocessing.fraction_bits",
                "one record's share of " + std::to_string(2 * columns) +
                    " sums must stay below 2^31 granules; use fewer bits");
  if (spec_.is_private() && preprocessing.epsilon_nano >= kEpsilonNanoMin &&
      preprocessing.epsilon_nano <= kEpsilonNanoMax)
    check_noise("preprocessing.epsilon",
                static_cast<std::int64_t>((2 * columns) << preprocessing.fraction_bits),
                preprocessing.epsilon_nano);
}

void Checker::check_budget() {
  const auto& privacy = spec_.privacy;
  if (!spec_.is_private()) return;
  if (!range("privacy.epsilon_total", privacy.total.epsilon_nano, kEpsilonNanoMin, kEpsilonNanoMax,
             kNanoDecimals) ||
      !range("privacy.delta", privacy.total.delta_pico, 0, kDeltaPicoMax, kPicoDecimals))
    return;
  const std::int64_t each = privacy.epsilon_per_round_nano;
  const std::int64_t query = spec_.preprocessing.epsilon_nano;
  if (each < kEpsilonNanoMin || each > kEpsilonNanoMax || query < 0 || query > kEpsilonNanoMax)
    return;  // reported already; from here no product overflows
  const std::int64_t left = privacy.total.epsilon_nano - query;
  const std::int64_t rounds = spec_.federation.rounds;
  if (left < each)
    return contradict("privacy.epsilon_total", "privacy.epsilon_per_round",
                      "the total of " + nano(privacy.total.epsilon_nano) +
                          " does not cover the preprocessing (" + nano(query) +
                          ") and one round (" + nano(each) + ")");
  if (privacy.total.delta_pico == 0 && rounds <= kRoundsMax && rounds * each > left)
    contradict("federation.rounds", "privacy.epsilon_total",
               std::to_string(rounds) + " rounds at " + nano(each) + " and " + nano(query) +
                   " for preprocessing cost " + nano(rounds * each + query) + " of " +
                   nano(privacy.total.epsilon_nano) + "; " + std::to_string(left / each) +
                   (left / each == 1 ? " round fits" : " rounds fit"));
}

void Checker::check_evaluation() {
  const auto& evaluation = spec_.evaluation;
  if (!evaluation.enabled) {
    if (!evaluation.blob_root.is_zero() || evaluation.blob_bytes != 0)
      contradict("evaluation.blob", "evaluation.data", "no blob is used without evaluation");
    return;
  }
  if (evaluation.blob_root.is_zero() || evaluation.blob_bytes < 1 ||
      evaluation.blob_bytes > kMaxEvaluationBytes)
    fail("evaluation.blob", "got " + std::to_string(evaluation.blob_bytes) +
                                " bytes, allowed: a data set of 1 to " +
                                std::to_string(kMaxEvaluationBytes) + " bytes (64 MiB)");
}

void Checker::check_rest() {
  range("requirements.memory_gb", spec_.requirements.memory_mb, 0, kMemoryMbMax);
  range("verification.validators", spec_.verification.validators, 1, kValidatorsMax);
}

}  // namespace

std::string JobProblem::to_string() const {
  return key + (other.empty() ? "" : " contradicts " + other) + ": " + detail;
}

std::vector<JobProblem> check_job(const JobSpec& spec) { return Checker(spec).run(); }

}  // namespace fedmesh::protocol
