#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "base/crypto/digest.h"
#include "models/data/csv.h"
#include "models/data/dataset_blob.h"
#include "models/data/generators.h"
#include "models/data/portable_math.h"
#include "models/data/standardise.h"
#include "tests/models/data/softmax.h"

namespace fedmesh::models {
namespace {

TEST(ClinicsTest, SilosAreAsDescribed) {
  std::size_t total = 0;
  double lowest = 1, highest = 0, positives = 0;
  for (std::uint32_t silo = 0; silo < 5; ++silo) {
    const GeneratedTable table = clinics_table(1, silo, 5);
    EXPECT_GE(table.rows, 550u);
    EXPECT_LE(table.rows, 1650u);
    EXPECT_GT(table.bayes_accuracy, 0.86);
    EXPECT_LT(table.bayes_accuracy, 0.92);
    total += table.rows;
    positives += table.positive_share * static_cast<double>(table.rows);
    lowest = std::min(lowest, table.positive_share);
    highest = std::max(highest, table.positive_share);
  }
  EXPECT_NEAR(static_cast<double>(total), 5000, 300);
  EXPECT_NEAR(positives / static_cast<double>(total), 0.5, 0.1);
  EXPECT_GT(highest - lowest, 0.2) << "populations are alike";
}

TEST(ClinicsTest, TextAndDataAreTheSame) {
  const std::string csv = clinics_csv(3, 2, 7);
  const auto read = parse_csv(csv, "clinics", clinics_schema());
  ASSERT_TRUE(read.ok()) << read.error().to_string();
  EXPECT_EQ(*read, clinics_silo(3, 2, 7));
  EXPECT_EQ(read->features, 11u);
  const auto empty = std::count(csv.begin(), csv.end(), ',') - 9;
  std::ptrdiff_t missing = 0;
  for (std::size_t at = csv.find(",,"); at != std::string::npos; at = csv.find(",,", at + 1))
    ++missing;
  EXPECT_NEAR(static_cast<double>(missing) / static_cast<double>(empty), 0.02 * 7 / 9, 0.006);
}

TEST(ClinicsTest, BayesAccuracyBoundsAPooledModelClosely) {
  std::vector<Dataset> silos;
  Dataset pooled = clinics_silo(1, 0, 5);
  for (std::uint32_t silo = 1; silo < 5; ++silo) {
    const Dataset more = clinics_silo(1, silo, 5);
    pooled.inputs.insert(pooled.inputs.end(), more.inputs.begin(), more.inputs.end());
    pooled.labels.insert(pooled.labels.end(), more.labels.begin(), more.labels.end());
  }
  const GeneratedTable table = clinics_validation_table(1, 4000);
  Dataset validation = clinics_validation(1, 4000);
  const Schema schema = clinics_schema();
  ASSERT_TRUE(apply(pooled, schema, from_bounds(schema)).ok());
  ASSERT_TRUE(apply(validation, schema, from_bounds(schema)).ok());
  const double accuracy = testing_softmax::train_and_test(pooled, validation, 10, 0.05);
  RecordProperty("pooled_accuracy_permille", static_cast<int>(accuracy * 1000));
  EXPECT_GT(table.bayes_accuracy, 0.87);
  EXPECT_LT(table.bayes_accuracy, 0.90);
  EXPECT_LT(std::max(table.positive_share, 1 - table.positive_share), 0.65);
  EXPECT_GT(accuracy, table.bayes_accuracy - 0.02);
  EXPECT_LT(accuracy, table.bayes_accuracy + 0.015);  // about three standard errors of 4,000 rows
}

TEST(ClinicsTest, DependsOnSeedAndSiloAlone) {
  EXPECT_EQ(clinics_csv(1, 0, 5), clinics_csv(1, 0, 5));
  EXPECT_NE(clinics_csv(1, 0, 5), clinics_csv(2, 0, 5));
  EXPECT_NE(clinics_csv(1, 0, 5), clinics_csv(1, 1, 5));
  EXPECT_EQ(clinics_silo(1, 0, 1).features, 11u);
}

TEST(ClinicsTest, IsTheSameOnEveryMachine) {
  EXPECT_EQ(crypto::blake2b(as_bytes(clinics_csv(1, 0, 5))).short_hex(), "26b3f076");
  EXPECT_EQ(crypto::blake2b(as_bytes(clinics_validation_table(1, 500).csv)).short_hex(),
            "2a23c777");
  EXPECT_EQ(crypto::blake2b(encode_dataset(clinics_silo(1, 4, 5))).short_hex(), "f15e3dda");
}

TEST(PortableMathTest, AgreesWithTheLibrary) {
  for (double x = -30; x < 30; x += 0.37) {
    EXPECT_NEAR(portable::exp(x) / std::exp(x), 1, 1e-13) << x;
    EXPECT_NEAR(portable::log(std::exp(x)), x, 1e-12) << x;
  }
  EXPECT_NEAR(portable::sigmoid(2), 1 / (1 + std::exp(-2)), 1e-15);
  SeededRandom random(5);
  for (const double shape : {0.1, 0.5, 1.0, 4.0}) {
    double sum = 0, squares = 0;
    static constexpr int kDraws = 40000;
    for (int i = 0; i < kDraws; ++i) {
      const double g = portable::gamma(random, shape);
      sum += g;
      squares += g * g;
    }
    const double mean = sum / kDraws;
    EXPECT_NEAR(mean, shape, 5 * std::sqrt(shape / kDraws));
    EXPECT_NEAR(squares / kDraws - mean * mean, shape, 0.15 * shape + 0.02);
  }
}

}  // namespace
}  // namespace fedmesh::models
