#include "models/kernels/statistics.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <limits>

#include "base/random.h"

namespace fedmesh::models {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

constexpr std::uint32_t kBits = 10;
constexpr std::int64_t kOne = 1 << kBits;

// age in 0..100, a category of three levels (two inputs), weight in −1..1.
Schema schema() {
  Schema out;
  out.label_name = "sick";
  out.columns = {{.name = "age",
                  .position = 0,
                  .kind = ColumnKind::numeric,
                  .minimum_micro = 0,
                  .maximum_micro = 100'000'000,
                  .levels = {}},
                 {.name = "pain",
                  .position = 0,
                  .kind = ColumnKind::categorical,
                  .minimum_micro = 0,
                  .maximum_micro = 0,
                  .levels = {"0", "1", "2"}},
                 {.name = "weight",
                  .position = 0,
                  .kind = ColumnKind::numeric,
                  .minimum_micro = -1'000'000,
                  .maximum_micro = 1'000'000,
                  .levels = {}}};
  return out;
}

Dataset rows(std::vector<float> inputs) {
  const std::size_t count = inputs.size() / 4;
  return {.features = 4,
          .shape = {4},
          .classes = 2,
          .inputs = std::move(inputs),
          .labels = std::vector<std::int32_t>(count, 0)};
}

TEST(StatisticsTest, SumsScaledValuesAndTheirSquares) {
  const auto sum = *statistics_sum(rows({75, 1, 0, -0.25f, 25, 0, 1, 0.5f}), schema(), kBits);
  // t = (0.5, −0.25) and (−0.5, 0.5).
  EXPECT_THAT(sum.values, ElementsAre(0, kOne / 4, kOne / 2, kOne / 16 + kOne / 4));
  EXPECT_EQ(sum.records, 2u);
}

TEST(StatisticsTest, ClampsToThePublicBounds) {
  const auto sum = *statistics_sum(rows({1e30f, 0, 0, -5}), schema(), kBits);
  EXPECT_THAT(sum.values, ElementsAre(kOne, -kOne, kOne, kOne));
}

TEST(StatisticsTest, TheBoundIsReachedAndNeverPassed) {
  const std::int64_t bound = statistics_bound(schema(), kBits);
  EXPECT_EQ(bound, 2 * 2 * kOne);
  SeededRandom random(5);
  std::int64_t largest = 0;
  for (int i = 0; i < 500; ++i) {
    const auto value = [&] { return static_cast<float>(200 * random.normal()); };
    const auto sum = *statistics_sum(rows({value(), 0, 0, value()}), schema(), kBits);
    std::int64_t norm = 0;
    for (const std::int32_t v : sum.values) norm += std::abs(v);
    ASSERT_LE(norm, bound);
    largest = std::max(largest, norm);
  }
  EXPECT_EQ(largest, bound);
}

TEST(StatisticsTest, ANonFiniteRecordCountsAsZero) {
  const float nan = std::numeric_limits<float>::quiet_NaN();
  const auto sum = *statistics_sum(rows({75, 0, 0, nan, 75, 0, 0, 0}), schema(), kBits);
  EXPECT_THAT(sum.values, ElementsAre(kOne / 2, 0, kOne / 4, 0));
  EXPECT_EQ(sum.non_finite, 1u);
  EXPECT_EQ(sum.records, 2u);
}

TEST(StatisticsTest, RefusesWhatDoesNotFit) {
  Schema categories = schema();
  categories.columns = {schema().columns[1]};
  EXPECT_THAT(statistics_sum(rows({}), categories, kBits).error().detail,
              HasSubstr("no numeric columns"));
  Dataset narrow = rows({});
  narrow.features = 3;
  EXPECT_THAT(statistics_sum(narrow, schema(), kBits).error().detail,
              HasSubstr("the schema says 4"));
  EXPECT_THAT(statistics_sum(rows({}), schema(), 31).error().detail, HasSubstr("at most 30"));
}

}  // namespace
}  // namespace fedmesh::models
