#include "base/allowance.h"

#include <gtest/gtest.h>

#include <limits>

#include "base/random.h"

namespace fedmesh {
namespace {

constexpr Instant kStart{1'700'000'000'000};

TEST(AllowanceTest, BeginsFullAndGrowsUpToTheBurst) {
  Allowance allowance(100, 50);
  EXPECT_EQ(allowance.left(kStart), 100);
  EXPECT_EQ(allowance.wait(kStart), Duration(0));
  allowance.spend(130);
  EXPECT_EQ(allowance.left(kStart), -30);
  EXPECT_EQ(allowance.wait(kStart), Duration(620));
  EXPECT_EQ(allowance.left(kStart + Duration(600)), 0);
  EXPECT_EQ(allowance.left(kStart + Duration(620)), 1);
  EXPECT_EQ(allowance.left(kStart + Duration(10'000)), 100);
}

TEST(AllowanceTest, FrequentLooksLoseNothing) {
  Allowance allowance(100, 50);
  allowance.spend(100);
  for (int ms = 0; ms <= 1000; ++ms) (void)allowance.left(kStart + Duration(ms));
  EXPECT_EQ(allowance.left(kStart + Duration(1000)), 50);
}

TEST(AllowanceTest, NoClockOverflowsItOrEmptiesIt) {
  Allowance allowance(64 << 20, 16 << 20);
  allowance.spend(64 << 20);
  EXPECT_EQ(allowance.left(Instant{0}), 0);
  EXPECT_EQ(allowance.left(Instant{std::numeric_limits<std::int64_t>::max()}), 64 << 20);
  allowance.spend(1 << 20);
  EXPECT_EQ(allowance.left(kStart), 63 << 20) << "it was set back";
  EXPECT_EQ(allowance.left(kStart + Duration(1000)), 64 << 20) << "and goes on from there";
}

// Somebody who keeps to half the burst and seven eighths of the rate is never refused, although
// what he asks for arrives up to two seconds later than he asked, or at once.
TEST(AllowanceTest, WhoeverCountsForHimselfIsNeverRefused) {
  constexpr std::int64_t kBurst = 64 << 20, kRate = 16 << 20;
  SeededRandom random(std::uint64_t{7});
  Allowance granted(kBurst, kRate), own(kBurst / 2, kRate / 8 * 7);
  Instant asks = kStart, arrives = kStart;
  for (int i = 0; i < 20'000; ++i) {
    asks = asks + own.wait(asks);
    arrives = std::max(arrives, asks + Duration(static_cast<std::int64_t>(random.below(2000))));
    ASSERT_GT(granted.left(arrives), 0) << "question " << i;
    const std::uint64_t price = random.below(512 << 10);
    own.spend(price);
    granted.spend(price);
  }
}

}  // namespace
}  // namespace fedmesh
