#include "models/data/architecture.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>

#include "base/crypto/digest.h"
#include "models/data/safetensors.h"

namespace fedmesh::models {
namespace {

using ::testing::ElementsAre;
using Kind = ArchitectureKind;
using P = ParameterShape;

TEST(ArchitectureTest, LaysParametersOutInNameOrder) {
  EXPECT_THAT((Architecture{Kind::logistic, {11}, 2, {}}).layout(),
              ElementsAre(P{"linear.bias", {1}}, P{"linear.weight", {1, 11}}));
  EXPECT_THAT((Architecture{Kind::logistic, {1, 28, 28}, 10, {}}).layout(),
              ElementsAre(P{"linear.bias", {10}}, P{"linear.weight", {10, 784}}));
  EXPECT_THAT((Architecture{Kind::mlp, {11}, 2, {16}}).layout(),
              ElementsAre(P{"layer0.bias", {16}}, P{"layer0.weight", {16, 11}},
                          P{"layer1.bias", {2}}, P{"layer1.weight", {2, 16}}));
  EXPECT_THAT(
      (Architecture{Kind::cnn, {1, 28, 28}, 10, {}}).layout(),
      ElementsAre(P{"conv1.bias", {32}}, P{"conv1.weight", {32, 1, 3, 3}}, P{"conv2.bias", {64}},
                  P{"conv2.weight", {64, 32, 3, 3}}, P{"fc1.bias", {128}},
                  P{"fc1.weight", {128, 3136}}, P{"fc2.bias", {10}}, P{"fc2.weight", {10, 128}}));
  EXPECT_EQ(elements((Architecture{Kind::cnn, {1, 28, 28}, 10, {}}).layout()), 421642u);
}

TEST(ArchitectureTest, RefusesShapesThatNoNetworkHas) {
  const std::vector<Architecture> wrong{
      {Kind::logistic, {}, 2, {}},
      {Kind::logistic, {0}, 2, {}},
      {Kind::logistic, {-5}, 2, {}},
      {Kind::logistic, {2, 2}, 2, {}},
      {Kind::logistic, {5}, 1, {}},
      {Kind::logistic, {5}, 5000, {}},
      {Kind::logistic, {5}, 2, {3}},
      {Kind::logistic, {INT64_MAX}, 2, {}},
      {Kind::logistic, {1 << 20, 1 << 20, 1 << 20}, 2, {}},
      {Kind::mlp, {5}, 2, {}},
      {Kind::mlp, {5}, 2, {0}},
      {Kind::mlp, {5}, 2, {1 << 14, 1 << 14}},
      {Kind::mlp, {5}, 2, {1, 1, 1, 1, 1, 1, 1, 1, 1}},
      {Kind::cnn, {784}, 10, {}},
      {Kind::cnn, {1, 3, 28}, 10, {}},
      {static_cast<Kind>(9), {5}, 2, {}},
  };
  for (const Architecture& a : wrong) EXPECT_FALSE(a.validate().ok());
  EXPECT_TRUE((Architecture{Kind::mlp, {784}, 10, {64}}).validate().ok());
}

TEST(ArchitectureTest, StartsLogisticAtZeroAndOthersWithinTheFanInBound) {
  const Tensors zero = initial_parameters({Kind::logistic, {11}, 2, {}}, 1);
  for (const Tensor& tensor : zero)
    for (const float value : tensor.floats()) EXPECT_EQ(value, 0.0f);

  const Architecture mlp{Kind::mlp, {100}, 2, {25}};
  const Tensors tensors = initial_parameters(mlp, 1);
  ASSERT_EQ(tensors.size(), 4u);
  const std::vector<double> bounds{0.1, 0.1, 0.2, 0.2};
  for (std::size_t i = 0; i < tensors.size(); ++i) {
    double largest = 0;
    for (const float value : tensors[i].floats())
      largest = std::max<double>(largest, std::abs(value));
    EXPECT_LE(largest, bounds[i] * 1.0000001) << tensors[i].name;
    EXPECT_GT(largest, bounds[i] * 0.3) << tensors[i].name;
  }
  EXPECT_TRUE(flatten(tensors, mlp.layout()).ok());
}

TEST(ArchitectureTest, InitialParametersAreTheSameOnEveryMachine) {
  const auto digest = [](const Architecture& a, std::uint64_t seed) {
    return crypto::blake2b(encode_safetensors(initial_parameters(a, seed))).short_hex();
  };
  EXPECT_EQ(digest({Kind::mlp, {11}, 2, {16}}, 1), "9bdecc27");
  EXPECT_EQ(digest({Kind::cnn, {1, 28, 28}, 10, {}}, 1), "746afe73");
  EXPECT_NE(digest({Kind::mlp, {11}, 2, {16}}, 2), digest({Kind::mlp, {11}, 2, {16}}, 1));
}

TEST(ArchitectureTest, SurvivesTheWire) {
  const Architecture mlp{Kind::mlp, {784}, 10, {64, 32}};
  const auto again = codec::decode<Architecture>(codec::encode(mlp));
  ASSERT_TRUE(again.ok());
  EXPECT_EQ(again->layout(), mlp.layout());
}

}  // namespace
}  // namespace fedmesh::models
