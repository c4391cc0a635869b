#include "models/data/partition.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <set>

#include "base/crypto/digest.h"
#include "base/random.h"

namespace fedmesh::models {
namespace {

using Kind = PartitionRule::Kind;

// Labels only: partitions do not look at inputs.
Dataset labelled(std::size_t rows, std::uint32_t classes) {
  Dataset data;
  data.features = 1;
  data.shape = {1};
  data.classes = classes;
  data.inputs.resize(rows);
  SeededRandom random(1);
  for (std::size_t i = 0; i < rows; ++i)
    data.labels.push_back(static_cast<std::int32_t>(random.below(classes)));
  return data;
}

std::size_t classes_in(const Dataset& data, const std::vector<std::size_t>& rows) {
  std::set<std::int32_t> seen;
  for (const std::size_t row : rows) seen.insert(data.labels[row]);
  return seen.size();
}

TEST(PartitionTest, LosesNoRowAndLeavesNoSiloEmpty) {
  const std::vector<PartitionRule> rules{
      {Kind::iid, 7, 1, 0.5, 2},          {Kind::iid, 1, 1, 0.5, 2},
      {Kind::dirichlet, 7, 1, 0.5, 2},    {Kind::dirichlet, 100, 1, 0.001, 2},
      {Kind::dirichlet, 500, 1, 0.01, 2}, {Kind::dirichlet, 10, 1, 1000, 2},
      {Kind::shards, 7, 1, 0.5, 2},       {Kind::shards, 100, 1, 0.5, 5},
  };
  const Dataset data = labelled(500, 10);
  for (const PartitionRule& rule : rules) {
    const auto silos = partition(data, rule);
    ASSERT_TRUE(silos.ok()) << silos.error().to_string();
    ASSERT_EQ(silos->size(), rule.silos);
    std::vector<bool> seen(data.rows());
    for (const auto& silo : *silos) {
      EXPECT_FALSE(silo.empty());
      EXPECT_TRUE(std::is_sorted(silo.begin(), silo.end()));
      for (const std::size_t row : silo) {
        ASSERT_LT(row, data.rows());
        EXPECT_FALSE(seen[row]) << "row " << row << " is in two silos";
        seen[row] = true;
      }
    }
    EXPECT_EQ(std::count(seen.begin(), seen.end(), true), 500);
  }
}

TEST(PartitionTest, IidSizesDifferByAtMostOne) {
  const auto silos = partition(labelled(503, 10), {.kind = Kind::iid, .silos = 10});
  ASSERT_TRUE(silos.ok());
  for (const auto& silo : *silos) EXPECT_TRUE(silo.size() == 50 || silo.size() == 51);
}

TEST(PartitionTest, ShardsBoundTheClassesPerSilo) {
  Dataset data = labelled(1000, 10);
  for (std::size_t i = 0; i < 1000; ++i) data.labels[i] = static_cast<std::int32_t>(i % 10);
  const auto silos = partition(data, {.kind = Kind::shards, .silos = 10, .shards_per_silo = 2});
  ASSERT_TRUE(silos.ok());
  for (const auto& silo : *silos) EXPECT_LE(classes_in(data, silo), 2u);
}

TEST(PartitionTest, SmallAlphaConcentratesClasses) {
  const Dataset data = labelled(5000, 10);
  const auto mean_classes = [&](double alpha) {
    const auto silos = partition(data, {.kind = Kind::dirichlet, .silos = 10, .alpha = alpha});
    double sum = 0;
    for (const auto& silo : *silos) sum += static_cast<double>(classes_in(data, silo));
    return sum / 10;
  };
  EXPECT_LT(mean_classes(0.05), 5);
  EXPECT_GT(mean_classes(100), 9.9);
}

TEST(PartitionTest, SeedDecidesAndIsPinned) {
  const Dataset data = labelled(300, 5);
  for (const Kind kind : {Kind::iid, Kind::dirichlet, Kind::shards}) {
    const auto once = partition(data, {.kind = kind, .silos = 4, .seed = 1});
    EXPECT_EQ(*once, *partition(data, {.kind = kind, .silos = 4, .seed = 1}));
    EXPECT_NE(*once, *partition(data, {.kind = kind, .silos = 4, .seed = 2}));
  }
  crypto::Blake2b hash;
  const auto pinned = partition(data, {.kind = Kind::dirichlet, .silos = 4, .seed = 1});
  for (const auto& silo : *pinned) {
    hash.add_u64(silo.size());
    for (const std::size_t row : silo) hash.add_u64(row);
  }
  EXPECT_EQ(hash.finish().short_hex(), "6686913f");
}

TEST(PartitionTest, RefusesWhatCannotBeShared) {
  const Dataset data = labelled(10, 2);
  EXPECT_FALSE(partition(data, {.silos = 0}).ok());
  EXPECT_FALSE(partition(data, {.silos = 11}).ok());
  EXPECT_FALSE(partition(data, {.kind = Kind::shards, .silos = 6}).ok());
  EXPECT_FALSE(partition(data, {.kind = Kind::shards, .silos = 2, .shards_per_silo = 0}).ok());
  EXPECT_FALSE(partition(data, {.kind = Kind::dirichlet, .silos = 2, .alpha = 0}).ok());
  EXPECT_FALSE(partition(data, {.kind = Kind::dirichlet, .silos = 2, .alpha = 0.0 / 0.0}).ok());
}

}  // namespace
}  // namespace fedmesh::models
