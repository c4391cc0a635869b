#include "models/kernels/evaluation.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <limits>

namespace fedmesh::models {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

Dataset line(std::vector<float> inputs, std::vector<std::int32_t> labels, std::uint32_t classes) {
  return {.features = 1,
          .shape = {1},
          .classes = classes,
          .inputs = std::move(inputs),
          .labels = std::move(labels)};
}

Architecture logistic(std::uint32_t classes) {
  return {.kind = ArchitectureKind::logistic, .input_shape = {1}, .classes = classes, .hidden = {}};
}

TEST(EvaluationTest, CountsPerClassAndAveragesTheLogLoss) {
  // Predicts class 1 for x > 1.
  const auto result =
      *evaluate_dense(line({3, 0, 2, -1}, {1, 1, 0, 0}, 2), logistic(2), std::vector<float>{-1, 1});
  EXPECT_EQ(result.count, 4u);
  EXPECT_EQ(result.correct, 2u);
  EXPECT_THAT(result.class_count, ElementsAre(2, 2));
  EXPECT_THAT(result.class_correct, ElementsAre(1, 1));
  const auto softplus = [](double z) { return std::log1p(std::exp(z)); };
  EXPECT_NEAR(result.loss, (softplus(-2) + softplus(1) + softplus(1) + softplus(-2)) / 4, 1e-12);
}

TEST(EvaluationTest, SoftmaxIsUniformAtZeroParameters) {
  const auto result =
      *evaluate_dense(line({1, 2, 3}, {0, 1, 2}, 3), logistic(3), std::vector<float>(6, 0));
  EXPECT_NEAR(result.loss, std::log(3.0), 1e-12);
  EXPECT_EQ(result.correct, 1u);  // ties go to class 0
}

TEST(EvaluationTest, HugeLogitsDoNotOverflow) {
  const auto right =
      *evaluate_dense(line({1e30f}, {1}, 2), logistic(2), std::vector<float>{0, 1e8f});
  EXPECT_EQ(right.loss, 0.0);
  const auto wrong =
      *evaluate_dense(line({1e30f}, {0}, 2), logistic(2), std::vector<float>{0, 1e8f});
  EXPECT_TRUE(std::isfinite(wrong.loss));
  EXPECT_GT(wrong.loss, 1e37);
}

TEST(EvaluationTest, ANonFiniteExampleCountsAsWrong) {
  const auto result = *evaluate_dense(line({std::numeric_limits<float>::quiet_NaN()}, {0}, 2),
                                      logistic(2), std::vector<float>{0, 1});
  EXPECT_EQ(result.correct, 0u);
  EXPECT_FALSE(std::isfinite(result.loss));
}

TEST(EvaluationTest, AnEmptyDataSetIsNoError) {
  const auto result = *evaluate_dense(line({}, {}, 2), logistic(2), std::vector<float>{0, 0});
  EXPECT_EQ(result.count, 0u);
  EXPECT_EQ(result.loss, 0.0);
}

TEST(EvaluationTest, RefusesAModelOfAnotherSize) {
  EXPECT_THAT(evaluate_dense(line({}, {}, 2), logistic(2), std::vector<float>{0}).error().detail,
              HasSubstr("1 parameters, its architecture 2"));
}

}  // namespace
}  // namespace fedmesh::models
