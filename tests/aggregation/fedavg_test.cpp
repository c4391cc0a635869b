#include "aggregation/fedavg.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <limits>

#include "base/random.h"

namespace fedmesh::aggregation {
namespace {

using ::testing::Each;
using ::testing::ElementsAre;

struct Cohort {
  std::vector<std::vector<std::int32_t>> values;
  std::vector<WeightedUpdate> updates;
};

// More columns than one block, and not a multiple of it.
Cohort cohort_of(std::size_t workers, std::uint64_t seed, std::size_t columns = 9001) {
  SeededRandom random(seed);
  Cohort out;
  for (std::size_t i = 0; i < workers; ++i) {
    auto& values = out.values.emplace_back(columns);
    for (auto& v : values) v = static_cast<std::int32_t>(random.next_u64());
  }
  for (const auto& values : out.values)
    out.updates.push_back({values, static_cast<std::uint32_t>(1 + random.below(3) * 1000)});
  return out;
}

TEST(FedAvgTest, IsTheWeightedSum) {
  const std::vector<std::int32_t> a = {1, -2, 3}, b = {10, 20, -30};
  const std::vector<WeightedUpdate> updates = {{a, 1}, {b, 5}};
  const Sum sum = FedAvg().aggregate(updates).value();
  EXPECT_THAT(sum.values, ElementsAre(51, 98, -147));
  EXPECT_EQ(sum.total_weight, 6u);
}

TEST(FedAvgTest, AgreesWithTheObviousLoop) {
  const Cohort cohort = cohort_of(7, 1);
  std::vector<std::int64_t> expected(9001, 0);
  for (std::size_t j = 0; j < expected.size(); ++j)
    for (const auto& update : cohort.updates)
      expected[j] += std::int64_t{update.weight} * update.values[j];
  EXPECT_EQ(FedAvg().aggregate(cohort.updates).value().values, expected);
}

TEST(FedAvgTest, DoesNotDependOnTheOrder) {
  Cohort cohort = cohort_of(9, 2);
  const Sum first = FedAvg().aggregate(cohort.updates).value();
  for (int i = 0; i < 5; ++i) {
    std::rotate(cohort.updates.begin(), cohort.updates.begin() + 2, cohort.updates.end());
    std::swap(cohort.updates[0], cohort.updates[5]);
    EXPECT_EQ(FedAvg().aggregate(cohort.updates).value(), first);
  }
}

TEST(FedAvgTest, DoesNotDependOnThePartition) {
  const Cohort cohort = cohort_of(8, 3);
  const std::span<const WeightedUpdate> all = cohort.updates;
  const Sum whole = FedAvg().aggregate(all).value();
  for (const std::size_t cut : {1u, 3u, 7u}) {
    const Sum left = FedAvg().aggregate(all.first(cut)).value();
    Sum right = FedAvg().aggregate(all.subspan(cut)).value();
    for (std::size_t j = 0; j < left.values.size(); ++j) right.values[j] += left.values[j];
    right.total_weight += left.total_weight;
    EXPECT_EQ(right, whole);
  }
}

TEST(FedAvgTest, TheL1NormCountsTheMostNegativeValueToo) {
  std::vector<std::int32_t> values(1001, -3);
  values.front() = INT32_MIN;
  values.back() = INT32_MAX;
  EXPECT_EQ(l1_norm(values), 999ull * 3 + 2147483648ull + 2147483647ull);
  EXPECT_EQ(l1_norm({}), 0u);
}

TEST(FedAvgTest, HoldsTheExtremes) {
  const std::vector<std::int32_t> low(5000, std::numeric_limits<std::int32_t>::min());
  const std::vector<WeightedUpdate> updates(16, {low, 1u << 27});
  EXPECT_THAT(FedAvg().aggregate(updates).value().values, Each(-(std::int64_t{1} << 62)));
}

TEST(FedAvgTest, RefusesBadInput) {
  EXPECT_FALSE(FedAvg().aggregate({}).ok());
  const std::vector<std::int32_t> one = {1};
  const std::vector<WeightedUpdate> weightless = {{one, 0}};
  EXPECT_FALSE(FedAvg().aggregate(weightless).ok());
}

}  // namespace
}  // namespace fedmesh::aggregation
