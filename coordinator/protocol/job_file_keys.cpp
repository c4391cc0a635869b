#include "coordinator/protocol/job_file_keys.h"

#include <limits>

#include "coordinator/protocol/decimal.h"
#include "coordinator/protocol/job_check.h"

namespace fedmesh::protocol {
namespace {

using Draft = JobDraft;
using Keys = std::vector<Key>;

constexpr std::int64_t kMicroMax = std::int64_t{1} << 53;

std::uint32_t u32(const Setting& s) { return static_cast<std::uint32_t>(s.number); }

Key text(std::string path, std::string meaning, void (*store)(Draft&, const Setting&)) {
  return {.path = std::move(path),
          .type = KeyType::text,
          .meaning = std::move(meaning),
          .store = store};
}
Key choice(std::string path, std::vector<std::string> choices, std::string fallback,
           std::string meaning, void (*store)(Draft&, const Setting&),
           std::vector<std::string> later = {}) {
  return {.path = std::move(path),
          .type = KeyType::choice,
          .fallback = fallback.empty() ? "" : '"' + fallback + '"',
          .choices = std::move(choices),
          .later = std::move(later),
          .meaning = std::move(meaning),
          .store = store};
}
Key integer(std::string path, std::int64_t minimum, std::int64_t maximum, std::string fallback,
            std::string meaning, void (*store)(Draft&, const Setting&)) {
  return {.path = std::move(path),
          .type = KeyType::integer,
          .fallback = std::move(fallback),
          .minimum = minimum,
          .maximum = maximum,
          .meaning = std::move(meaning),
          .store = store};
}
Key decimal(std::string path, std::int64_t minimum, std::int64_t maximum, int decimals,
            std::string fallback, std::string meaning, void (*store)(Draft&, const Setting&)) {
  Key key =
      integer(std::move(path), minimum, maximum, std::move(fallback), std::move(meaning), store);
  key.type = KeyType::decimal;
  key.decimals = decimals;
  return key;
}
Key boolean(std::string path, std::string fallback, std::string meaning,
            void (*store)(Draft&, const Setting&)) {
  return {.path = std::move(path),
          .type = KeyType::boolean,
          .fallback = std::move(fallback),
          .meaning = std::move(meaning),
          .store = store};
}
Key deadline(std::string path, std::string fallback, std::string meaning,
             void (*store)(Draft&, const Setting&)) {
  return {.path = std::move(path),
          .type = KeyType::duration,
          .fallback = '"' + fallback + '"',
          .minimum = kDeadlineMsMin,
          .maximum = kDeadlineMsMax,
          .meaning = std::move(meaning),
          .store = store};
}
Key required(Key key) {
  key.required = true;
  return key;
}
Key otherwise(Key key, std::string what) {
  key.otherwise = std::move(what);
  return key;
}
Key as(Key key, KeyType type) {
  key.type = type;
  return key;
}
void ignore(Draft&, const Setting&) {}  // the key has one allowed value: nothing to keep

Keys model_keys() {
  Key torchscript = text("model.torchscript", "A model file of the submitter's.", ignore);
  torchscript.unsupported = true;
  return {
      required(text("name", "What people call the job: 1 to 100 printable ASCII characters.",
                    [](Draft& d, const Setting& s) { d.spec.name = s.text; })),
      required(choice("model.architecture", {"logistic", "mlp", "cnn"}, "",
                      "The built-in model. A cnn reads images.",
                      [](Draft& d, const Setting& s) {
                        d.spec.architecture.kind = s.text == "mlp" ? models::ArchitectureKind::mlp
                                                   : s.text == "cnn"
                                                       ? models::ArchitectureKind::cnn
                                                       : models::ArchitectureKind::logistic;
                      })),
      otherwise(as(integer("model.hidden", 1, 1 << 20, "",
                           "Sizes of an mlp's hidden layers, 1 to 8 of them.",
                           [](Draft& d, const Setting& s) {
                             for (const std::int64_t size : s.numbers)
                               d.hidden.push_back(static_cast<std::uint32_t>(size));
                           }),
                   KeyType::integers),
                "none; an mlp needs it"),
      integer("model.seed", 0, std::numeric_limits<std::int64_t>::max(), "0",
              "Seed of the initial parameters.",
              [](Draft& d, const Setting& s) {
                d.spec.initial_seed = static_cast<std::uint64_t>(s.number);
              }),
      torchscript,
  };
}

Keys data_keys() {
  return {
      choice("data.task", {"classification"}, "classification", "What the model learns.", ignore),
      otherwise(choice("data.preset", {"clinics", "digits"}, "",
                       "The format of a generated data set, instead of all the keys below.",
                       [](Draft& d, const Setting& s) { d.preset = s.text; }),
                "the keys below"),
      choice("data.format", {"csv", "images"}, "csv", "What a worker's data must be.",
             [](Draft& d, const Setting& s) {
               d.spec.schema.format =
                   s.text == "images" ? models::DataFormat::images : models::DataFormat::csv;
             }),
      integer("data.classes", 2, 1024, "2", "How many classes the labels have, counted from 0.",
              [](Draft& d, const Setting& s) { d.spec.schema.classes = u32(s); }),
      boolean("data.header", "true", "csv: the first line names the columns.",
              [](Draft& d, const Setting& s) { d.spec.schema.header = s.flag; }),
      boolean("data.drop_missing", "false",
              "csv: leave out rows with a missing value; otherwise the middle of the bounds or the "
              "first level stands in.",
              [](Draft& d, const Setting& s) { d.spec.schema.drop_missing = s.flag; }),
      otherwise(
          as(integer("data.label", 0, 4095, "", "csv: the label's column, by name or by position.",
                     [](Draft& d, const Setting& s) {
                       d.label_name = s.text;
                       d.label_position = s.number;
                     }),
             KeyType::name_or_place),
          "csv needs it"),
      integer("data.label_threshold", -1, std::numeric_limits<std::int64_t>::max(), "-1",
              "csv: at 0 or above, the class is 1 where the label is greater than this; -1: the "
              "label is the class.",
              [](Draft& d, const Setting& s) { d.spec.schema.label_threshold = s.number; }),
      integer("data.channels", 1, 16, "1", "images: values per pixel.",
              [](Draft& d, const Setting& s) { d.spec.schema.channels = u32(s); }),
      otherwise(integer("data.height", 1, 4096, "", "images: rows.",
                        [](Draft& d, const Setting& s) { d.spec.schema.height = u32(s); }),
                "images need it"),
      otherwise(integer("data.width", 1, 4096, "", "images: columns.",
                        [](Draft& d, const Setting& s) { d.spec.schema.width = u32(s); }),
                "images need it"),
  };
}

Keys column_keys() {
  const std::string prefix(kColumns);
  return {
      otherwise(
          text(prefix + ".name", "The column's name in the header; without a header for people.",
               [](Draft& d, const Setting& s) { d.columns.back().column.name = s.text; }),
          "needed with a header"),
      otherwise(integer(prefix + ".position", 0, 4095, "",
                        "The column's place, counted from 0, where there is no header.",
                        [](Draft& d, const Setting& s) { d.columns.back().position = s.number; }),
                "needed without a header"),
      choice(
          prefix + ".kind", {"numeric", "categorical"}, "numeric",
          "A numeric column is one input, a categorical one an indicator per level but the first.",
          [](Draft& d, const Setting& s) {
            d.columns.back().column.kind = s.text == "categorical" ? models::ColumnKind::categorical
                                                                   : models::ColumnKind::numeric;
          }),
      otherwise(decimal(prefix + ".min", -kMicroMax, kMicroMax, kMicroDecimals, "",
                        "Public lower bound; what is below counts as the bound. Not from data.",
                        [](Draft& d, const Setting& s) {
                          d.columns.back().column.minimum_micro = s.number;
                        }),
                "a numeric column needs it"),
      otherwise(
          decimal(
              prefix + ".max", -kMicroMax, kMicroMax, kMicroDecimals, "", "Public upper bound.",
              [](Draft& d, const Setting& s) { d.columns.back().column.maximum_micro = s.number; }),
          "a numeric column needs it"),
      otherwise(
          as(text(prefix + ".levels", "Every level; the first is the reference.",
                  [](Draft& d, const Setting& s) { d.columns.back().column.levels = s.texts; }),
             KeyType::levels),
          "a categorical column needs it"),
  };
}

Keys training_keys() {
  return {
      required(decimal("training.learning_rate", 1, kFactorNanoMax, kNanoDecimals, "", "Step size.",
                       [](Draft& d, const Setting& s) {
                         d.spec.training.options.learning_rate_nano = s.number;
                       })),
      integer("training.local_epochs", 1, kLocalEpochsMax, "1",
              "unit worker: passes over the local data per round.",
              [](Draft& d, const Setting& s) { d.spec.training.options.local_epochs = u32(s); }),
      integer("training.batch_size", 1, kBatchSizeMax, "32",
              "unit worker: examples per local step.",
              [](Draft& d, const Setting& s) { d.spec.training.options.batch_size = u32(s); }),
      choice("training.optimizer", {"sgd", "adam"}, "sgd", "unit worker: the local optimiser.",
             [](Draft& d, const Setting& s) {
               d.spec.training.options.optimizer =
                   s.text == "adam" ? models::Optimizer::adam : models::Optimizer::sgd;
             }),
      decimal("training.momentum", 0, kNano - 1, kNanoDecimals, "0.0", "unit worker: of sgd.",
              [](Draft& d, const Setting& s) { d.spec.training.options.momentum_nano = s.number; }),
      decimal(
          "training.weight_decay", 0, kNano, kNanoDecimals, "0.0", "unit worker: L2 penalty.",
          [](Draft& d, const Setting& s) { d.spec.training.options.weight_decay_nano = s.number; }),
      decimal(
          "training.proximal_mu", 0, kFactorNanoMax, kNanoDecimals, "0.0",
          "unit worker: FedProx, pulls local models to the global one.",
          [](Draft& d, const Setting& s) { d.spec.training.options.proximal_mu_nano = s.number; }),
      boolean("training.average_iterates", "false",
              "The released model is the mean of all rounds' models.",
              [](Draft& d, const Setting& s) { d.spec.training.average_iterates = s.flag; }),
      decimal("training.input_scale", 1, kFactorNanoMax, kNanoDecimals, "1.0",
              "Multiplies every input after standardisation.",
              [](Draft& d, const Setting& s) { d.spec.training.input_scale_nano = s.number; }),
  };
}

Keys federation_keys() {
  return {
      required(integer("federation.rounds", 1, kRoundsMax, "", "Training rounds.",
                       [](Draft& d, const Setting& s) { d.spec.federation.rounds = u32(s); })),
      integer("federation.max_participants", 1, kParticipantsMax, "50",
              "Most workers in one round; more are drawn from.",
              [](Draft& d, const Setting& s) { d.spec.federation.max_participants = u32(s); }),
      integer("federation.min_updates", 1, kParticipantsMax, "1",
              "A round with fewer updates is void.",
              [](Draft& d, const Setting& s) { d.spec.federation.min_updates = u32(s); }),
      integer("federation.max_records", 1, kRecordsMax, "100000",
              "Records that one worker may enrol with; a larger claim is refused.",
              [](Draft& d, const Setting& s) {
                d.spec.federation.max_records = static_cast<std::uint64_t>(s.number);
              }),
      deadline("federation.enrol_deadline", "60s",
               "For workers to answer the job; ends early when all have.",
               [](Draft& d, const Setting& s) { d.spec.federation.enrol_ms = s.number; }),
      deadline("federation.commit_deadline", "60s", "For training and commitment, per round.",
               [](Draft& d, const Setting& s) { d.spec.federation.commit_ms = s.number; }),
      deadline("federation.reveal_deadline", "60s", "For handing the update over, per round.",
               [](Draft& d, const Setting& s) { d.spec.federation.reveal_ms = s.number; }),
      deadline("federation.committee_deadline", "20s", "For each duty of an aggregator.",
               [](Draft& d, const Setting& s) { d.spec.federation.committee_ms = s.number; }),
      deadline("federation.evaluation_deadline", "20s",
               "For validators to commit to a score, and again to open it.",
               [](Draft& d, const Setting& s) { d.spec.federation.evaluation_ms = s.number; }),
      boolean("federation.allow_owner", "false",
              "The submitter may aggregate where nobody else can.",
              [](Draft& d, const Setting& s) { d.spec.federation.allow_owner = s.flag; }),
      otherwise(decimal("federation.target_accuracy", 1, 1'000'000, kMicroDecimals, "",
                        "Ends the job when a round's evaluation reaches it.",
                        [](Draft& d, const Setting& s) {
                          d.spec.federation.target_accuracy_micro = s.number;
                        }),
                "all rounds are run"),
      choice("federation.on_too_few", {"wait", "end"}, "wait",
             "What follows when fewer than min_updates workers enrol.",
             [](Draft& d, const Setting& s) {
               d.spec.federation.on_too_few = s.text == "end" ? TooFew::end : TooFew::wait;
             }),
      integer("federation.max_void_rounds", 1, kVoidRoundsMax, "5",
              "So many void rounds in a row fail the job.",
              [](Draft& d, const Setting& s) { d.spec.federation.max_void_rounds = u32(s); }),
  };
}

Keys aggregation_keys() {
  return {
      choice("aggregation.rule", {"mean", "fedavg"}, "mean",
             "How updates become one; fedavg is another name of mean.",
             [](Draft& d, const Setting&) { d.spec.aggregation.rule = "mean"; },
             {"median", "trimmed_mean", "krum", "multi_krum", "bulyan", "geometric_median",
              "centred_clip"}),
      choice("aggregation.weight", {"uniform", "examples"}, "uniform",
             "A worker's weight in the mean; examples needs mechanism none.",
             [](Draft& d, const Setting& s) {
               d.spec.aggregation.weight =
                   s.text == "examples" ? WeightMode::examples : WeightMode::uniform;
             }),
      otherwise(integer("aggregation.weight_cap", 1, 0xffffffff, "",
                        "weight = min(examples, cap); cap times max_participants is at most 2^31.",
                        [](Draft& d, const Setting& s) { d.spec.aggregation.weight_cap = u32(s); }),
                "weight examples needs it"),
      choice("aggregation.visibility", {"plain"}, "plain",
             "Who sees single updates: plain, the round's aggregators.", ignore,
             {"secagg", "grouped"}),
      integer("aggregation.aggregators", 1, kAggregatorsMax, "1",
              "Size of the aggregator committee: 1, 4, 7, ... (3f+1 bear f bad members).",
              [](Draft& d, const Setting& s) { d.spec.aggregation.aggregators = u32(s); }),
      choice("aggregation.server_optimizer", {"none"}, "none", "A step on top of the aggregate.",
             ignore, {"fedavgm", "fedadam", "fedyogi", "fedadagrad"}),
  };
}

Keys privacy_keys() {
  return {
      choice("privacy.unit", {"worker", "record"}, "worker",
             "What is protected: a worker's whole data, or one record. record: one full-batch "
             "gradient step per round, architecture logistic.",
             [](Draft& d, const Setting& s) {
               d.spec.privacy.unit = s.text == "record" ? PrivacyUnit::record : PrivacyUnit::worker;
             }),
      required(choice("privacy.mechanism", {"none", "laplace"}, "",
                      "The noise. Written out in every job: none gives no differential privacy.",
                      [](Draft& d, const Setting& s) {
                        d.spec.privacy.mechanism =
                            s.text == "laplace" ? Mechanism::laplace : Mechanism::none;
                      },
                      {"discrete_gaussian", "skellam"})),
      choice("privacy.noise_by", {"aggregators"}, "aggregators", "Who adds the noise.", ignore,
             {"workers"}),
      otherwise(decimal("privacy.clip_l1", 1, kClipNanoMax, kNanoDecimals, "",
                        "L1 bound of one unit's contribution; rounded down to the grid.",
                        [](Draft& d, const Setting& s) { d.clip_nano = s.number; }),
                "no clip; laplace needs it"),
      otherwise(integer("privacy.fraction_bits", 1, kFractionBitsMax, "",
                        "Values are multiples of 2^-fraction_bits. record: clip_l1 must be 4096 to "
                        "65536 of them; a worker with more than 2^31 / clip_l1 records declines.",
                        [](Draft& d, const Setting& s) { d.fraction_bits = s.number; }),
                "14 for records, 20 for workers"),
      otherwise(decimal("privacy.epsilon_per_round", kEpsilonNanoMin, kEpsilonNanoMax,
                        kNanoDecimals, "", "Spent by each training round.",
                        [](Draft& d, const Setting& s) {
                          d.spec.privacy.epsilon_per_round_nano = s.number;
                        }),
                "laplace needs it"),
      otherwise(
          decimal("privacy.epsilon_total", kEpsilonNanoMin, kEpsilonNanoMax, kNanoDecimals, "",
                  "The budget of the whole job, charged queries included.",
                  [](Draft& d, const Setting& s) { d.spec.privacy.total.epsilon_nano = s.number; }),
          "laplace needs it"),
      decimal("privacy.delta", 0, kDeltaPicoMax, kPicoDecimals, "0.0",
              "0: pure epsilon, rounds add up. Above 0: composed by Renyi divergence.",
              [](Draft& d, const Setting& s) { d.spec.privacy.total.delta_pico = s.number; }),
  };
}

Keys other_keys() {
  Key replay = decimal("verification.replay_fraction", 0, 0, kNanoDecimals, "0.0",
                       "Share of the training steps that validators replay.", ignore);
  replay.later = {"above 0"};
  return {
      choice("preprocessing.standardise", {"private", "public", "none"}, "none",
             "Scale of numeric columns: private, from a query over all records (its own round; "
             "exact with mechanism none); public, from the columns' bounds.",
             [](Draft& d, const Setting& s) {
               d.spec.preprocessing.standardise = s.text == "private"  ? Standardise::private_query
                                                  : s.text == "public" ? Standardise::bounds
                                                                       : Standardise::none;
             }),
      otherwise(
          decimal("preprocessing.epsilon", kEpsilonNanoMin, kEpsilonNanoMax, kNanoDecimals, "",
                  "Spent by that query.",
                  [](Draft& d, const Setting& s) { d.spec.preprocessing.epsilon_nano = s.number; }),
          "private with laplace needs it"),
      integer("preprocessing.fraction_bits", 1, kFractionBitsMax, "14", "The query's grid.",
              [](Draft& d, const Setting& s) { d.spec.preprocessing.fraction_bits = u32(s); }),
      choice("evaluation.data", {"public", "none"}, "none",
             "Validators score each released model on a public data set.",
             [](Draft& d, const Setting& s) { d.spec.evaluation.enabled = s.text == "public"; },
             {"federated"}),
      otherwise(text("evaluation.blob",
                     "The data set: a file, relative to the job file, or a generator "
                     "(clinics-validation:rows=2000,seed=1).",
                     [](Draft& d, const Setting& s) { d.blob = s.text; }),
                "data public needs it"),
      decimal("requirements.memory_gb", 0, kMemoryMbMax, 3, "0", "What a worker must have free.",
              [](Draft& d, const Setting& s) { d.spec.requirements.memory_mb = u32(s); }),
      boolean("requirements.gpu", "false", "Only workers with a GPU take part.",
              [](Draft& d, const Setting& s) { d.spec.requirements.gpu = s.flag; }),
      integer("verification.validators", 1, kValidatorsMax, "1",
              "Most validators that score a round.",
              [](Draft& d, const Setting& s) { d.spec.verification.validators = u32(s); }),
      replay,
  };
}

}  // namespace

const std::vector<Key>& job_file_keys() {
  static const Keys kKeys = [] {
    Keys all;
    for (const auto& part : {model_keys(), data_keys(), column_keys(), training_keys(),
                             federation_keys(), aggregation_keys(), privacy_keys(), other_keys()})
      all.insert(all.end(), part.begin(), part.end());
    return all;
  }();
  return kKeys;
}

}  // namespace fedmesh::protocol
