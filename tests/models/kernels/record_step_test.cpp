#include "models/kernels/record_step.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <numeric>

#include "base/random.h"
#include "models/kernels/dense.h"

namespace fedmesh::models {
namespace {

using ::testing::Each;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

constexpr std::uint32_t kBits = 12;
constexpr std::int64_t kOne = std::int64_t{1} << kBits;  // 1.0 in granules
constexpr float kNan = std::numeric_limits<float>::quiet_NaN();

Architecture logistic(std::int64_t features, std::uint32_t classes = 2) {
  return {.kind = ArchitectureKind::logistic,
          .input_shape = {features},
          .classes = classes,
          .hidden = {}};
}

Architecture mlp(std::int64_t features, std::uint32_t classes, std::vector<std::uint32_t> hidden) {
  return {.kind = ArchitectureKind::mlp,
          .input_shape = {features},
          .classes = classes,
          .hidden = std::move(hidden)};
}

Dataset dataset(std::size_t features, std::uint32_t classes, std::vector<float> inputs,
                std::vector<std::int32_t> labels) {
  return {.features = features,
          .shape = {static_cast<std::int64_t>(features)},
          .classes = classes,
          .inputs = std::move(inputs),
          .labels = std::move(labels)};
}

Dataset random_data(SeededRandom& random, std::size_t rows, std::size_t features,
                    std::uint32_t classes) {
  Dataset out = dataset(features, classes, {}, {});
  for (std::size_t i = 0; i < rows; ++i) {
    for (std::size_t j = 0; j < features; ++j)
      out.inputs.push_back(static_cast<float>(3 * random.normal()));
    out.labels.push_back(static_cast<std::int32_t>(random.below(classes)));
  }
  return out;
}

std::vector<float> random_parameters(SeededRandom& random, const Architecture& architecture) {
  std::vector<float> out(elements(architecture.layout()));
  for (float& p : out) p = static_cast<float>(random.normal());
  return out;
}

std::int64_t l1(const std::vector<std::int32_t>& v) {
  return std::accumulate(v.begin(), v.end(), std::int64_t{0}, [](std::int64_t sum, std::int32_t x) {
    return sum + std::abs(std::int64_t{x});
  });
}

std::int64_t l1_distance(const RecordSum& a, const RecordSum& b) {
  std::int64_t out = 0;
  for (std::size_t i = 0; i < a.values.size(); ++i)
    out += std::abs(std::int64_t{a.values[i]} - b.values[i]);
  return out;
}

RecordSum sum_of(const Dataset& data, const Architecture& architecture,
                 const std::vector<float>& parameters, std::int64_t clip = kOne) {
  auto result = clipped_gradient_sum(data, architecture, parameters,
                                     {.fraction_bits = kBits, .clip_granules = clip});
  EXPECT_TRUE(result.ok()) << result.error().detail;
  return result.ok() ? *result : RecordSum{};
}

TEST(RecordStepTest, BinaryLogisticMatchesTheFormulaInLayoutOrder) {
  // At zero parameters p = 1/2: the direction is (y − 1/2) · (1, x), bias first.
  const auto sum = sum_of(dataset(2, 2, {0.25f, -0.5f}, {1}), logistic(2), {0, 0, 0}, 10 * kOne);
  EXPECT_THAT(sum.values, ElementsAre(kOne / 2, kOne / 8, -kOne / 4));
  EXPECT_EQ(sum.records, 1u);
  EXPECT_EQ(sum.non_finite, 0u);
}

TEST(RecordStepTest, SoftmaxMatchesTheFormula) {
  // At zero parameters p = 1/4 for each of four classes.
  const auto sum =
      sum_of(dataset(1, 4, {2.0f}, {2}), logistic(1, 4), std::vector<float>(8, 0), 100 * kOne);
  EXPECT_THAT(sum.values, ElementsAre(-kOne / 4, -kOne / 4, 3 * kOne / 4, -kOne / 4,  //
                                      -kOne / 2, -kOne / 2, 3 * kOne / 2, -kOne / 2));
}

TEST(RecordStepTest, DirectionIsMinusTheNumericalGradientOfTheLoss) {
  SeededRandom random(1);
  for (const Architecture& architecture :
       {logistic(3), logistic(3, 4), mlp(3, 3, {5}), mlp(4, 2, {6, 4})}) {
    const auto features = static_cast<std::size_t>(architecture.input_shape[0]);
    const Dataset data = random_data(random, 4, features, architecture.classes);
    const std::vector<float> parameters = random_parameters(random, architecture);
    DenseNetwork net = *DenseNetwork::create(architecture, parameters);
    std::vector<double> direction(net.parameters());
    for (std::size_t row = 0; row < data.rows(); ++row) {
      net.descent_direction(data.row(row), data.labels[row], direction);
      for (std::size_t j = 0; j < parameters.size(); ++j) {
        const auto loss_at = [&](float shift) {
          std::vector<float> moved = parameters;
          moved[j] += shift;
          DenseNetwork other = *DenseNetwork::create(architecture, moved);
          return other.predict(data.row(row), data.labels[row]).loss;
        };
        constexpr float kStep = 1.0f / 4096;
        EXPECT_NEAR(direction[j], -(loss_at(kStep) - loss_at(-kStep)) / (2.0 * kStep), 2e-3)
            << to_string(architecture.kind) << " parameter " << j;
      }
    }
  }
}

TEST(RecordStepTest, ChangingOneRecordMovesTheSumByAtMostTheBound) {
  SeededRandom random(7);
  for (int trial = 0; trial < 200; ++trial) {
    const Architecture architecture = trial % 3 == 0   ? logistic(5)
                                      : trial % 3 == 1 ? logistic(5, 3)
                                                       : mlp(5, 3, {4});
    Dataset data = random_data(random, 1 + random.below(20), 5, architecture.classes);
    const auto parameters = random_parameters(random, architecture);
    const auto clip = static_cast<std::int64_t>(1 + random.below(1 << 14));
    const auto before = sum_of(data, architecture, parameters, clip);
    const std::size_t victim = random.below(data.rows());

    Dataset zeroed = data;  // a non-finite example counts as zero
    for (std::size_t j = 0; j < 5; ++j) zeroed.inputs[victim * 5 + j] = kNan;
    EXPECT_LE(l1_distance(before, sum_of(zeroed, architecture, parameters, clip)), clip);

    Dataset replaced = data;
    for (std::size_t j = 0; j < 5; ++j)
      replaced.inputs[victim * 5 + j] = static_cast<float>(1e6 * random.normal());
    replaced.labels[victim] = static_cast<std::int32_t>(random.below(architecture.classes));
    EXPECT_LE(l1_distance(before, sum_of(replaced, architecture, parameters, clip)), 2 * clip);
  }
}

TEST(RecordStepTest, TheSumIsTheSumOfTheExamplesAlone) {
  SeededRandom random(3);
  const Architecture architecture = mlp(4, 3, {5});
  const Dataset data = random_data(random, 30, 4, 3);
  const auto parameters = random_parameters(random, architecture);
  std::vector<std::int32_t> total(parameters.size(), 0);
  for (std::size_t i = 0; i < data.rows(); ++i) {
    const auto alone = sum_of(data.subset(std::vector<std::size_t>{i}), architecture, parameters);
    EXPECT_LE(l1(alone.values), kOne);
    for (std::size_t j = 0; j < total.size(); ++j) total[j] += alone.values[j];
  }
  EXPECT_EQ(sum_of(data, architecture, parameters).values, total);
}

TEST(RecordStepTest, TheOrderOfTheExamplesDoesNotMatter) {
  SeededRandom random(4);
  const Dataset data = random_data(random, 20, 3, 2);
  const auto parameters = random_parameters(random, logistic(3));
  std::vector<std::size_t> backwards(data.rows());
  for (std::size_t i = 0; i < backwards.size(); ++i) backwards[i] = data.rows() - 1 - i;
  EXPECT_EQ(sum_of(data, logistic(3), parameters).values,
            sum_of(data.subset(backwards), logistic(3), parameters).values);
}

TEST(RecordStepTest, ANonFiniteExampleCountsAsZero) {
  constexpr float kInf = std::numeric_limits<float>::infinity();
  const auto sum =
      sum_of(dataset(1, 2, {0.5f, kNan, kInf, -kInf}, {1, 1, 0, 1}), logistic(1), {0, 0});
  EXPECT_EQ(sum.values, sum_of(dataset(1, 2, {0.5f}, {1}), logistic(1), {0, 0}).values);
  EXPECT_EQ(sum.records, 4u);
  EXPECT_EQ(sum.non_finite, 3u);
}

TEST(RecordStepTest, ANonFiniteInputIsNotHiddenByReLU) {
  // The hidden unit's weight is negative, so that a careless ReLU would turn −NaN into 0.
  const auto sum = sum_of(dataset(1, 2, {kNan}, {0}), mlp(1, 2, {1}), {0, -1, 0, 0, 1, 1});
  EXPECT_EQ(sum.non_finite, 1u);
  EXPECT_THAT(sum.values, Each(0));
}

TEST(RecordStepTest, TheSumSaturatesInsteadOfWrapping) {
  // 2^11 examples of up to 2^21 granules each: beyond int32.
  const std::size_t rows = 1 << 11;
  const auto sum = *clipped_gradient_sum(
      dataset(1, 2, std::vector<float>(rows, 1e6f), std::vector<std::int32_t>(rows, 1)),
      logistic(1), std::vector<float>{0, 0}, {.fraction_bits = kBits, .clip_granules = 1 << 21});
  EXPECT_EQ(sum.values[1], std::numeric_limits<std::int32_t>::max());
}

TEST(RecordStepTest, StepsAlongTheSumLowerTheLoss) {
  SeededRandom random(9);
  Dataset data = random_data(random, 100, 3, 2);
  for (std::size_t i = 0; i < data.rows(); ++i) data.labels[i] = data.row(i)[1] > 0.3f ? 1 : 0;
  DenseNetwork start = *DenseNetwork::create(logistic(3), std::vector<float>(4, 0));
  std::vector<float> parameters(4, 0);
  for (int step = 0; step < 20; ++step) {
    const auto sum = sum_of(data, logistic(3), parameters);
    for (std::size_t j = 0; j < parameters.size(); ++j)
      parameters[j] += 0.5f * static_cast<float>(sum.values[j]) / (kOne * 100.0f);
  }
  DenseNetwork end = *DenseNetwork::create(logistic(3), parameters);
  double before = 0, after = 0;
  for (std::size_t i = 0; i < data.rows(); ++i) {
    before += start.predict(data.row(i), data.labels[i]).loss;
    after += end.predict(data.row(i), data.labels[i]).loss;
  }
  EXPECT_LT(after, 0.8 * before);
}

TEST(RecordStepTest, RoundsHalfToEvenAndClampsToTheRange) {
  const std::vector<std::pair<double, std::int64_t>> table{
      {0.5, 0},   {1.5, 2},  {2.5, 2},           {-0.5, 0},
      {-1.5, -2}, {0.49, 0}, {1e300, INT32_MAX}, {-1e300, -INT32_MAX},
      {-2.51, -3}};
  for (const auto& [value, granules] : table) EXPECT_EQ(to_granules(value, 0), granules) << value;
  EXPECT_EQ(to_granules(1.0, 12), 4096);
}

TEST(RecordStepTest, RefusesWhatItCannotDoAndSaysWhatItCan) {
  const Architecture cnn{
      .kind = ArchitectureKind::cnn, .input_shape = {1, 8, 8}, .classes = 2, .hidden = {}};
  const Dataset image = dataset(64, 2, std::vector<float>(64, 0), {0});
  const Dataset data = dataset(2, 2, {1, 2}, {1});
  const RecordStepConfig config{.fraction_bits = kBits, .clip_granules = kOne};
  const std::vector<float> three(3, 0);
  const auto detail = [](const Result<RecordSum>& result) {
    return result.ok() ? std::string("accepted") : result.error().detail;
  };
  EXPECT_THAT(
      detail(clipped_gradient_sum(image, cnn, std::vector<float>(elements(cnn.layout())), config)),
      HasSubstr("logistic and mlp"));
  EXPECT_THAT(detail(clipped_gradient_sum(data, logistic(3), std::vector<float>(4), config)),
              HasSubstr("2 inputs per example"));
  EXPECT_THAT(detail(clipped_gradient_sum(data, logistic(2), std::vector<float>(4), config)),
              HasSubstr("4 parameters"));
  EXPECT_THAT(
      detail(clipped_gradient_sum(data, logistic(2), std::vector<float>{0, kNan, 0}, config)),
      HasSubstr("not finite"));
  EXPECT_THAT(detail(clipped_gradient_sum(dataset(2, 5, {1, 2}, {4}), logistic(2), three, config)),
              HasSubstr("label outside 0 to 1"));
  EXPECT_THAT(detail(clipped_gradient_sum(data, logistic(2), three,
                                          {.fraction_bits = 31, .clip_granules = 1})),
              HasSubstr("at most 30"));
  for (const std::int64_t clip : {std::int64_t{0}, std::int64_t{-1}, std::int64_t{1} << 31})
    EXPECT_THAT(detail(clipped_gradient_sum(data, logistic(2), three,
                                            {.fraction_bits = kBits, .clip_granules = clip})),
                HasSubstr("clip_granules"));
}

}  // namespace
}  // namespace fedmesh::models
