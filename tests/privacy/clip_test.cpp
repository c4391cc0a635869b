#include "privacy/clip.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <limits>

#include "base/random.h"

namespace fedmesh::privacy {
namespace {

using ::testing::Each;
using ::testing::ElementsAre;

constexpr std::int64_t kMin = std::numeric_limits<std::int64_t>::min();
constexpr std::int64_t kMax = std::numeric_limits<std::int64_t>::max();

TEST(ClipTest, LeavesWhatIsWithinTheBound) {
  std::vector<std::int64_t> q = {3, -4, 0};
  clip_l1(q, 7);
  EXPECT_THAT(q, ElementsAre(3, -4, 0));
}

TEST(ClipTest, ScalesTowardsZero) {
  std::vector<std::int64_t> q = {3, -4, 1};
  clip_l1(q, 4);
  EXPECT_THAT(q, ElementsAre(1, -2, 0));
  std::vector<std::int32_t> narrow = {3, -4, 1};
  clip_l1(narrow, 4);
  EXPECT_THAT(narrow, ElementsAre(1, -2, 0));
}

TEST(ClipTest, AZeroBoundLeavesNothing) {
  std::vector<std::int64_t> q = {1, kMin, kMax};
  clip_l1(q, 0);
  EXPECT_THAT(q, Each(0));
}

TEST(ClipTest, SurvivesTheExtremes) {
  std::vector<std::int64_t> q = {kMin, kMin, kMax, kMax};
  clip_l1(q, kMax);
  EXPECT_LE(l1_norm(std::span<const std::int64_t>(q)), static_cast<unsigned __int128>(kMax));
  EXPECT_THAT(q, ElementsAre(-(kMax / 4), -(kMax / 4), kMax / 4, kMax / 4));
}

// Whatever the vector and the bound: never above it, signs kept, nobody grows, and at most one
// granule a coordinate is lost to truncation.
TEST(ClipTest, NeverExceedsTheBound) {
  SeededRandom random(2);
  for (int round = 0; round < 3000; ++round) {
    std::vector<std::int64_t> q(1 + random.below(40));
    const std::uint64_t shift = random.below(63);
    for (auto& v : q) v = static_cast<std::int64_t>(random.next_u64()) >> shift;
    const auto bound = static_cast<std::int64_t>(random.next_u64() >> (1 + random.below(62)));
    const auto before = q;
    const auto norm = l1_norm(std::span<const std::int64_t>(before));
    clip_l1(q, bound);
    const auto after = l1_norm(std::span<const std::int64_t>(q));
    ASSERT_LE(after, static_cast<unsigned __int128>(bound));
    if (norm > static_cast<unsigned __int128>(bound)) {
      ASSERT_GE(after + q.size(), static_cast<unsigned __int128>(bound));
    } else {
      ASSERT_EQ(q, before);
    }
    for (std::size_t i = 0; i < q.size(); ++i) {
      ASSERT_TRUE(q[i] == 0 || (q[i] < 0) == (before[i] < 0));
      ASSERT_TRUE(before[i] < 0 ? q[i] >= before[i] : q[i] <= before[i]);
    }
  }
}

TEST(ClipTest, SaturationMovesNothingApart) {
  SeededRandom random(3);
  const auto draw = [&] {
    return static_cast<std::int64_t>(random.next_u64()) >> (20 + random.below(30));
  };
  for (int i = 0; i < 3000; ++i) {
    const std::int64_t a = draw(), b = draw();
    ASSERT_LE(std::abs(std::int64_t{saturate(a)} - saturate(b)), std::abs(a - b));
  }
  EXPECT_THAT(saturate(std::vector<std::int64_t>{kMin, -5, 0, 7, kMax}),
              ElementsAre(std::numeric_limits<std::int32_t>::min(), -5, 0, 7,
                          std::numeric_limits<std::int32_t>::max()));
}

}  // namespace
}  // namespace fedmesh::privacy
