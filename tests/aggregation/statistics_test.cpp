#include "aggregation/statistics.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "base/random.h"

namespace fedmesh::aggregation {
namespace {

using ::testing::HasSubstr;

TEST(StatisticsTest, RecoversMeanAndDeviation) {
  SeededRandom random(1);
  const std::vector<ColumnBounds> bounds = {{-10, 30}, {100, 200}};
  constexpr std::uint64_t kRecords = 5000;
  constexpr unsigned kBits = 14;
  std::vector<std::int64_t> sums(4, 0);
  std::vector<double> total(2, 0), squares(2, 0);
  for (std::uint64_t i = 0; i < kRecords; ++i) {
    const double x[2] = {4 + 6 * (2 * random.uniform() - 1) * std::sqrt(3),
                         100 + 100 * random.uniform()};
    for (std::size_t j = 0; j < 2; ++j) {
      const double t = (2 * x[j] - bounds[j].minimum - bounds[j].maximum) /
                       (bounds[j].maximum - bounds[j].minimum);
      sums[j] += std::llround(std::ldexp(t, kBits));
      sums[2 + j] += std::llround(std::ldexp(t * t, kBits));
      total[j] += x[j];
      squares[j] += x[j] * x[j];
    }
  }
  const auto result = column_statistics(sums, bounds, kRecords, kBits).value();
  ASSERT_EQ(result.size(), 2u);
  for (std::size_t j = 0; j < 2; ++j) {
    const double mean = total[j] / kRecords;
    EXPECT_NEAR(result[j].mean, mean, 0.01);
    EXPECT_NEAR(result[j].scale, std::sqrt(squares[j] / kRecords - mean * mean), 0.05);
  }
}

TEST(StatisticsTest, AnyNoiseGivesUsableConstants) {
  constexpr std::int64_t kMost = std::numeric_limits<std::int64_t>::max();
  const std::vector<ColumnBounds> bounds = {{-2, 6}};
  for (const std::int64_t first : {-kMost, std::int64_t{0}, kMost})
    for (const std::int64_t second : {-kMost, std::int64_t{0}, kMost}) {
      const std::vector<std::int64_t> sums = {first, second};
      const auto column = column_statistics(sums, bounds, 10, 14).value()[0];
      EXPECT_GE(column.mean, -2);
      EXPECT_LE(column.mean, 6);
      EXPECT_GE(column.scale, 4 * std::sqrt(kVarianceFloor));
      EXPECT_LE(column.scale, 4);
    }
}

// Little noise changes nothing, noise that drowns the sums leaves the constants of the bounds, and
// more noise never means more trust.
TEST(StatisticsTest, TrustsItsSumsAsFarAsTheirNoiseAllows) {
  const std::vector<ColumnBounds> bounds = {{0, 2}};
  const std::vector<std::int64_t> sums = {512'000, 307'200};  // 1,000 records at 2^-10
  const ColumnStatistics exact = column_statistics(sums, bounds, 1000, 10).value()[0];
  EXPECT_DOUBLE_EQ(exact.mean, 1.5);
  EXPECT_DOUBLE_EQ(exact.scale, std::sqrt(0.3 - 0.25));
  ColumnStatistics before = exact;
  for (const std::int64_t epsilon :
       {1'000'000'000'000LL, 1'000'000'000LL, 100'000'000LL, 10'000'000LL, 1'000LL}) {
    const auto column = column_statistics(sums, bounds, 1000, 10, {2048, epsilon}).value()[0];
    EXPECT_LE(column.mean, before.mean);
    EXPECT_GE(column.scale, before.scale);
    before = column;
    if (epsilon == 1'000'000'000'000LL) {
      EXPECT_NEAR(column.mean, exact.mean, 1e-4);
      EXPECT_NEAR(column.scale, exact.scale, 1e-4);
    }
  }
  EXPECT_NEAR(before.mean, 1, 1e-4);     // the middle
  EXPECT_NEAR(before.scale, 0.5, 1e-4);  // a quarter of the distance
}

TEST(StatisticsTest, AConstantColumnGetsTheFloor) {  // t = 0.5 for ten records at 2^-10
  const auto column = column_statistics(std::vector<std::int64_t>{5120, 2560},
                                        std::vector<ColumnBounds>{{0, 2}}, 10, 10)
                          .value()[0];
  EXPECT_EQ(column, (ColumnStatistics{1.5, std::sqrt(kVarianceFloor)}));
}

TEST(StatisticsTest, RefusesBadInput) {
  constexpr double kInfinity = std::numeric_limits<double>::infinity();
  const std::vector<std::int64_t> sums = {1, 1};
  const std::vector<ColumnBounds> fine = {{0, 1}};
  EXPECT_TRUE(column_statistics(sums, fine, 1, 0).ok());
  EXPECT_FALSE(column_statistics(std::vector<std::int64_t>{1}, fine, 1, 0).ok());
  EXPECT_FALSE(column_statistics(sums, fine, 0, 0).ok());
  EXPECT_FALSE(column_statistics(sums, fine, 1, 31).ok());
  EXPECT_FALSE(column_statistics(sums, fine, 1, 0, {1, 0}).ok());
  for (const ColumnBounds bad : {ColumnBounds{1, 1}, ColumnBounds{1, 0}, ColumnBounds{0, kInfinity},
                                 ColumnBounds{std::nan(""), 1}, ColumnBounds{-1e308, 1e308}}) {
    const auto result = column_statistics(sums, std::vector<ColumnBounds>{bad}, 1, 0);
    ASSERT_FALSE(result.ok());
    EXPECT_THAT(result.error().detail, HasSubstr("column 0 "));
  }
}

}  // namespace
}  // namespace fedmesh::aggregation
