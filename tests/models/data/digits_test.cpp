#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <array>

#include "base/crypto/digest.h"
#include "models/data/dataset_blob.h"
#include "models/data/generators.h"
#include "tests/models/data/softmax.h"

namespace fedmesh::models {
namespace {

TEST(DigitsTest, DrawsBalancedClassesOfVisibleInk) {
  const Dataset data = digits(1, 2000);
  EXPECT_EQ(data.inputs.size(), 2000u * 784u);
  std::array<int, 10> counts{};
  for (const std::int32_t label : data.labels) ++counts[static_cast<std::size_t>(label)];
  for (const int count : counts) EXPECT_NEAR(count, 200, 70);
  for (const float value : data.inputs) {
    ASSERT_GE(value, 0.0f);
    ASSERT_LE(value, 1.0f);
  }
  for (std::size_t row = 0; row < data.rows(); ++row) {
    const auto pixels = data.row(row);
    EXPECT_GT(std::count_if(pixels.begin(), pixels.end(), [](float v) { return v > 0.5f; }), 8);
  }
}

TEST(DigitsTest, SlicesOfASeedAreItsRows) {
  const Dataset whole = digits(3, 30);
  const std::vector<std::size_t> indices{10, 11, 12, 13, 14};
  EXPECT_EQ(digits(3, 5, 10), whole.subset(indices));
  EXPECT_NE(digits(4, 5, 10), whole.subset(indices));
}

TEST(DigitsTest, IsTheSameOnEveryMachine) {
  EXPECT_EQ(crypto::blake2b(encode_dataset(digits(1, 100))).short_hex(), "bd3f2680");
}

// The other half of the promise, that a small convolutional network reaches 96 %, is measured where
// LibTorch is at hand.
TEST(DigitsTest, ALinearModelStaysWellBelowPerfect) {
  const double accuracy =
      testing_softmax::train_and_test(digits(1, 6000), digits(2, 2000), 12, 0.02);
  RecordProperty("linear_accuracy_permille", static_cast<int>(accuracy * 1000));
  EXPECT_GT(accuracy, 0.75);
  EXPECT_LT(accuracy, 0.90);
}

}  // namespace
}  // namespace fedmesh::models
