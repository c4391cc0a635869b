#include "privacy/fixed_point.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "base/random.h"

namespace fedmesh::privacy {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

TEST(FixedPointTest, RoundsHalvesToEven) {
  const std::vector<float> values = {0.5f, 1.5f, 2.5f, -0.5f, -1.5f, -2.5f, 0.49f, -0.51f, 3.0f};
  EXPECT_THAT(quantise(values, 0).value(), ElementsAre(0, 2, 2, 0, -2, -2, 0, -1, 3));
}

TEST(FixedPointTest, IsWithinHalfAGranule) {
  SeededRandom random(1);
  std::vector<float> values(2000);
  for (float& v : values) v = static_cast<float>(2 * random.uniform() - 1);
  for (const unsigned bits : {0u, 1u, 12u, 20u, 30u}) {
    const auto granules = quantise(values, bits).value();
    for (std::size_t i = 0; i < values.size(); ++i)
      EXPECT_LE(std::abs(to_real(granules[i], bits) - static_cast<double>(values[i])),
                std::ldexp(0.5, -static_cast<int>(bits)));
  }
}

TEST(FixedPointTest, RefusesWhatDoesNotFitAndNamesIt) {
  const float huge = std::numeric_limits<float>::max();
  for (const float bad : {std::nanf(""), std::numeric_limits<float>::infinity(), 2147483648.0f,
                          -2147483904.0f, huge, -huge}) {
    const auto result = quantise(std::vector<float>{0, bad}, 0);
    ASSERT_FALSE(result.ok()) << bad;
    EXPECT_EQ(result.error().code, ErrorCode::invalid_argument);
    EXPECT_THAT(result.error().detail, HasSubstr("value 1 "));
  }
  EXPECT_FALSE(quantise(std::vector<float>{2.0f}, 30).ok());
  EXPECT_FALSE(quantise(std::vector<float>{0.0f}, 31).ok());
}

TEST(FixedPointTest, AcceptsTheLimits) {
  EXPECT_THAT(quantise(std::vector<float>{-2147483648.0f, 2147483520.0f}, 0).value(),
              ElementsAre(std::numeric_limits<std::int32_t>::min(), 2147483520));
  EXPECT_THAT(
      quantise(std::vector<float>{-2.0f, std::numeric_limits<float>::denorm_min()}, 30).value(),
      ElementsAre(std::numeric_limits<std::int32_t>::min(), 0));
  EXPECT_TRUE(quantise({}, 20).value().empty());
}

TEST(FixedPointTest, ToRealIsExact) {
  EXPECT_EQ(to_real(3, 1), 1.5);
  EXPECT_EQ(to_real(-(std::int64_t{1} << 53), 30), -8388608.0);
  EXPECT_EQ(to_real(1, 30), std::ldexp(1.0, -30));
}

}  // namespace
}  // namespace fedmesh::privacy
