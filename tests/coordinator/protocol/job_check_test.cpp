#include "coordinator/protocol/job_check.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <functional>
#include <limits>

#include "coordinator/protocol/decimal.h"
#include "coordinator/protocol/messages.h"
#include "sample_job.h"

namespace fedmesh::protocol {
namespace {

using ::testing::HasSubstr;

struct Case {
  const char* key;     // of the first problem
  const char* detail;  // part of its text
  std::function<void(JobSpec&)> change;
  bool record = true;  // starts from record_job(), otherwise from worker_job()
};

std::vector<Case> name_and_training_cases() {
  return {
      {"name", "1 to 100", [](JobSpec& s) { s.name = ""; }},
      {"name", "1 to 100", [](JobSpec& s) { s.name = std::string(101, 'a'); }},
      {"name", "printable", [](JobSpec& s) { s.name = "a\nb"; }},
      {"data", "classes", [](JobSpec& s) { s.schema.classes = 1; }},
      {"model.architecture", "classes", [](JobSpec& s) { s.architecture.classes = 1; }},
      {"model.architecture", "reads images",
       [](JobSpec& s) {
         s.architecture = {models::ArchitectureKind::cnn, {1, 28, 28}, 2, {}};
       }},
      {"model.architecture", "input shape", [](JobSpec& s) { s.architecture.input_shape = {3}; }},
      {"model.architecture", "3 classes, the data 2",
       [](JobSpec& s) { s.architecture.classes = 3; }},
      {"training.learning_rate", "got 0, allowed: 0.000000001 to 1000",
       [](JobSpec& s) { s.training.options.learning_rate_nano = 0; }},
      {"training.learning_rate", "allowed",
       [](JobSpec& s) { s.training.options.learning_rate_nano = kFactorNanoMax + 1; }},
      {"training.input_scale", "allowed", [](JobSpec& s) { s.training.input_scale_nano = -1; }},
      {"training.local_epochs", "1 to 1000",
       [](JobSpec& s) { s.training.options.local_epochs = 0; }, false},
      {"training.batch_size", "1 to 65536",
       [](JobSpec& s) { s.training.options.batch_size = 1u << 20; }, false},
      {"training.momentum", "allowed: 0 to 0.999999999",
       [](JobSpec& s) { s.training.options.momentum_nano = kNano; }, false},
      {"training.weight_decay", "allowed",
       [](JobSpec& s) { s.training.options.weight_decay_nano = -1; }, false},
      {"training.proximal_mu", "allowed",
       [](JobSpec& s) { s.training.options.proximal_mu_nano = -1; }, false},
      {"training.momentum", "sgd",
       [](JobSpec& s) {
         s.training.options.optimizer = models::Optimizer::adam;
         s.training.options.momentum_nano = 1;
       },
       false},
  };
}

std::vector<Case> federation_cases() {
  return {
      {"federation.rounds", "1 to 100000", [](JobSpec& s) { s.federation.rounds = 0; }},
      {"federation.rounds", "1 to 100000", [](JobSpec& s) { s.federation.rounds = 100'001; },
       false},
      {"federation.max_participants", "1 to 4096",
       [](JobSpec& s) { s.federation.max_participants = 4097; }},
      {"federation.min_updates", "cannot come", [](JobSpec& s) { s.federation.min_updates = 51; }},
      {"federation.max_void_rounds", "1 to 1000",
       [](JobSpec& s) { s.federation.max_void_rounds = 0; }},
      {"federation.target_accuracy", "0.000001 to 1",
       [](JobSpec& s) { s.federation.target_accuracy_micro = 0; }},
      {"federation.target_accuracy", "0.000001 to 1",
       [](JobSpec& s) { s.federation.target_accuracy_micro = 1'000'001; }},
      {"federation.target_accuracy", "public evaluation",
       [](JobSpec& s) { s.federation.target_accuracy_micro = 1; }, false},
      {"federation.enrol_deadline", "100ms to 7d", [](JobSpec& s) { s.federation.enrol_ms = 99; }},
      {"federation.commit_deadline", "100ms to 7d",
       [](JobSpec& s) { s.federation.commit_ms = kDeadlineMsMax + 1; }},
      {"federation.reveal_deadline", "100ms to 7d",
       [](JobSpec& s) { s.federation.reveal_ms = -1; }},
      {"federation.committee_deadline", "100ms to 7d",
       [](JobSpec& s) { s.federation.committee_ms = 0; }},
      {"federation.evaluation_deadline", "100ms to 7d",
       [](JobSpec& s) { s.federation.evaluation_ms = 0; }},
      {"aggregation.rule", "mean", [](JobSpec& s) { s.aggregation.rule = "krum"; }},
      {"aggregation.aggregators", "1, 4, 7", [](JobSpec& s) { s.aggregation.aggregators = 3; }},
      {"aggregation.aggregators", "up to 64", [](JobSpec& s) { s.aggregation.aggregators = 67; }},
      {"aggregation.weight_cap", "uniform", [](JobSpec& s) { s.aggregation.weight_cap = 2; }},
      {"aggregation.weight", "public denominator",
       [](JobSpec& s) { s.aggregation.weight = WeightMode::examples; }},
      {"aggregation.weight_cap", "2^31",
       [](JobSpec& s) {
         s.aggregation.weight = WeightMode::examples;
         s.aggregation.weight_cap = 1u << 26;
       },
       false},
      {"aggregation.weight_cap", "at least 1",
       [](JobSpec& s) {
         s.aggregation.weight = WeightMode::examples;
         s.aggregation.weight_cap = 0;
       },
       false},
      {"requirements.memory_gb", "allowed",
       [](JobSpec& s) { s.requirements.memory_mb = (1u << 24) + 1; }},
      {"verification.validators", "1 to 64", [](JobSpec& s) { s.verification.validators = 0; }},
  };
}

std::vector<Case> privacy_cases() {
  return {
      {"privacy.fraction_bits", "1 to 30", [](JobSpec& s) { s.privacy.fraction_bits = 31; }},
      {"privacy.clip_l1", "clip above 0", [](JobSpec& s) { s.privacy.clip_granules = 0; }},
      {"privacy.clip_l1", "clip above 0", [](JobSpec& s) { s.privacy.clip_granules = -1; }},
      {"privacy.clip_l1", "4096 to 65536", [](JobSpec& s) { s.privacy.clip_granules = 4095; }},
      {"privacy.clip_l1", "4096 to 65536",
       [](JobSpec& s) { s.privacy.clip_granules = (1 << 16) + 1; }},
      {"privacy.clip_l1", "2^31",
       [](JobSpec& s) { s.privacy.clip_granules = std::int64_t{1} << 31; }, false},
      {"privacy.epsilon_per_round", "above 0",
       [](JobSpec& s) { s.privacy.epsilon_per_round_nano = 0; }},
      {"privacy.epsilon_per_round", "0.000001 to 1000",
       [](JobSpec& s) { s.privacy.epsilon_per_round_nano = -5; }},
      {"privacy.epsilon_per_round", "above 2^48",
       [](JobSpec& s) {
         s.privacy.mechanism = Mechanism::laplace;
         s.privacy.clip_granules = kClipMax;
         s.privacy.epsilon_per_round_nano = kEpsilonNanoMin;
         s.privacy.total = {kNano, 0};
       },
       false},
      {"privacy.epsilon_total", "nothing is spent",
       [](JobSpec& s) { s.privacy.total.epsilon_nano = 1; }, false},
      {"privacy.epsilon_per_round", "nothing is spent",
       [](JobSpec& s) { s.privacy.epsilon_per_round_nano = 1; }, false},
      {"privacy.delta", "nothing is spent", [](JobSpec& s) { s.privacy.total.delta_pico = 1; },
       false},
      {"privacy.delta", "allowed: 0 to 0.999999999999",
       [](JobSpec& s) { s.privacy.total.delta_pico = 1'000'000'000'000; }},
      {"privacy.unit", "fixed-order kernel",
       [](JobSpec& s) { s.privacy.unit = PrivacyUnit::record; }, false},
      {"training.local_epochs", "full-batch",
       [](JobSpec& s) { s.training.options.local_epochs = 2; }},
      {"training.batch_size", "full-batch", [](JobSpec& s) { s.training.options.batch_size = 8; }},
      {"training.optimizer", "full-batch",
       [](JobSpec& s) { s.training.options.optimizer = models::Optimizer::adam; }},
      {"training.proximal_mu", "full-batch",
       [](JobSpec& s) { s.training.options.proximal_mu_nano = 1; }},
      {"privacy.epsilon_total", "does not cover",
       [](JobSpec& s) { s.privacy.total.epsilon_nano = 189'999'999; }},
      {"federation.rounds", "10 rounds fit", [](JobSpec& s) { s.federation.rounds = 11; }},
      {"federation.rounds", "1 round fits",
       [](JobSpec& s) { s.privacy.total.epsilon_nano = 190'000'000; }},
      {"preprocessing.epsilon", "0.000001 to 1000",
       [](JobSpec& s) { s.preprocessing.epsilon_nano = 0; }},
      {"preprocessing.epsilon", "only a noisy query",
       [](JobSpec& s) { s.preprocessing.standardise = Standardise::bounds; }},
      {"preprocessing.fraction_bits", "1 to 30",
       [](JobSpec& s) { s.preprocessing.fraction_bits = 0; }},
      {"preprocessing.fraction_bits", "below 2^31",
       [](JobSpec& s) { s.preprocessing.fraction_bits = 30; }},
      {"preprocessing.standardise", "csv data",
       [](JobSpec& s) { s.preprocessing.standardise = Standardise::bounds; }, false},
      {"evaluation.blob", "64 MiB", [](JobSpec& s) { s.evaluation.blob_bytes = 0; }},
      {"evaluation.blob", "64 MiB",
       [](JobSpec& s) { s.evaluation.blob_bytes = kMaxEvaluationBytes + 1; }},
      {"evaluation.blob", "64 MiB", [](JobSpec& s) { s.evaluation.blob_root = {}; }},
      {"evaluation.blob", "without evaluation", [](JobSpec& s) { s.evaluation.blob_bytes = 1; },
       false},
  };
}

std::string described(const std::vector<JobProblem>& problems) {
  std::string out;
  for (const auto& problem : problems) out += problem.to_string() + "\n";
  return out;
}

TEST(JobCheckTest, SampleJobsAreValid) {
  EXPECT_EQ(described(check_job(record_job())), "");
  EXPECT_EQ(described(check_job(worker_job())), "");
}

TEST(JobCheckTest, EveryBrokenRuleIsNamedByItsKey) {
  for (const auto& cases : {name_and_training_cases(), federation_cases(), privacy_cases()}) {
    for (const Case& c : cases) {
      JobSpec spec = c.record ? record_job() : worker_job();
      c.change(spec);
      const auto problems = check_job(spec);
      ASSERT_FALSE(problems.empty()) << c.key << ": " << c.detail;
      const bool found = std::any_of(problems.begin(), problems.end(), [&](const JobProblem& p) {
        return p.key == c.key && p.detail.find(c.detail) != std::string::npos;
      });
      EXPECT_TRUE(found) << c.key << ": " << c.detail << "\n" << described(problems);
      const auto status = spec.validate();
      ASSERT_FALSE(status.ok());
      EXPECT_EQ(status.error().code, ErrorCode::invalid_argument);
      EXPECT_EQ(status.error().detail, problems.front().to_string());
    }
  }
}

TEST(JobCheckTest, PrivateStandardisationProtectsRecords) {
  JobSpec spec = record_job();
  spec.privacy.unit = PrivacyUnit::worker;
  EXPECT_THAT(described(check_job(spec)),
              HasSubstr("preprocessing.standardise contradicts privacy.unit"));
}

TEST(JobCheckTest, MinimumAboveMaximumNamesBothKeys) {
  JobSpec spec = worker_job();
  spec.federation.max_participants = 3;
  spec.federation.min_updates = 4;
  EXPECT_EQ(described(check_job(spec)),
            "federation.min_updates contradicts federation.max_participants: 4 updates cannot come "
            "from at most 3 participants\n");
}

TEST(JobCheckTest, WithDeltaRoundsComposeLaterAndAreNotCountedHere) {
  JobSpec spec = record_job();
  spec.privacy.total.delta_pico = 10'000'000;
  spec.federation.rounds = 60;
  EXPECT_EQ(described(check_job(spec)), "");
}

TEST(JobCheckTest, LargestWeightedSumFits) {
  JobSpec spec = worker_job();
  spec.aggregation.weight = WeightMode::examples;
  spec.federation.max_participants = 64;
  spec.aggregation.weight_cap = 1u << 25;
  EXPECT_EQ(described(check_job(spec)), "");
  spec.aggregation.weight_cap += 1;
  EXPECT_NE(described(check_job(spec)), "");
}

TEST(JobCheckTest, AModelThatFitsNoBlobIsRefused) {
  JobSpec spec = worker_job();
  spec.schema = models::Schema{};
  spec.schema.format = models::DataFormat::images;
  spec.schema.height = spec.schema.width = 2048;
  spec.architecture = {models::ArchitectureKind::mlp, {1, 2048, 2048}, 2, {15}};
  EXPECT_EQ(described(check_job(spec)), "");
  spec.training.average_iterates = true;
  EXPECT_THAT(described(check_job(spec)), HasSubstr("with training.average_iterates"));
}

TEST(JobCheckTest, ExtremeNumbersOverflowNothing) {
  JobSpec spec = record_job();
  spec.federation.rounds = std::numeric_limits<std::uint32_t>::max();
  spec.federation.max_participants = std::numeric_limits<std::uint32_t>::max();
  spec.aggregation.weight = WeightMode::examples;
  spec.aggregation.weight_cap = std::numeric_limits<std::uint32_t>::max();
  for (const std::int64_t extreme :
       {std::numeric_limits<std::int64_t>::max(), std::numeric_limits<std::int64_t>::min()}) {
    spec.privacy.clip_granules = extreme;
    spec.privacy.epsilon_per_round_nano = extreme;
    spec.privacy.total = {extreme, extreme};
    spec.preprocessing.epsilon_nano = extreme;
    spec.federation.commit_ms = extreme;
    spec.federation.target_accuracy_micro = extreme;
    spec.training.options.learning_rate_nano = extreme;
    EXPECT_FALSE(spec.validate().ok());
  }
}

TEST(JobCheckTest, ConfigHashCoversEveryPart) {
  const Digest base = record_job().config_hash();
  JobSpec spec = record_job();
  EXPECT_EQ(spec.config_hash(), base);
  spec.verification.validators = 2;
  EXPECT_NE(spec.config_hash(), base);
  spec = record_job();
  spec.name += " ";
  EXPECT_NE(spec.config_hash(), base);
  spec = record_job();
  spec.privacy.total.delta_pico = 1;
  EXPECT_NE(spec.config_hash(), base);
}

TEST(DecimalTest, TextHasNoTrailingZeros) {
  EXPECT_EQ(decimal_text(90'000'000, 9), "0.09");
  EXPECT_EQ(decimal_text(0, 9), "0");
  EXPECT_EQ(decimal_text(-1'500'000, 6), "-1.5");
  EXPECT_EQ(decimal_text(12, 0), "12");
  EXPECT_EQ(decimal_text(std::numeric_limits<std::int64_t>::min(), 9), "-9223372036.854775808");
}

TEST(DecimalTest, OnlyExactDecimalsAreTaken) {
  EXPECT_EQ(exact_decimal(0.09, 9), 90'000'000);
  EXPECT_EQ(exact_decimal(0.1, 9), 100'000'000);
  EXPECT_EQ(exact_decimal(-2.5, 6), -2'500'000);
  EXPECT_EQ(exact_decimal(0.00001, 12), 10'000'000);
  EXPECT_EQ(exact_decimal(0.0000000001, 9), std::nullopt);
  EXPECT_EQ(exact_decimal(0.1 + 0.2, 9), std::nullopt);
  EXPECT_EQ(exact_decimal(1.0 / 3, 9), std::nullopt);
  EXPECT_EQ(exact_decimal(1e300, 9), std::nullopt);
  EXPECT_EQ(exact_decimal(std::numeric_limits<double>::infinity(), 9), std::nullopt);
  EXPECT_EQ(exact_decimal(std::numeric_limits<double>::quiet_NaN(), 9), std::nullopt);
}

TEST(DecimalTest, EveryNanoOfAPercentComesBack) {
  for (std::int64_t nano = 1; nano < 10'000'000'000; nano = nano * 3 + 7)
    EXPECT_EQ(exact_decimal(std::stod(decimal_text(nano, 9)), 9), nano);
}

}  // namespace
}  // namespace fedmesh::protocol
