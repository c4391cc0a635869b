#include "base/random.h"

#include <gtest/gtest.h>

#include <cmath>

namespace fedmesh {
namespace {

TEST(SeededRandomTest, GoldenStream) {
  // Computed with an independent ChaCha20 and BLAKE2b (python).
  SeededRandom random(std::uint64_t{42});
  EXPECT_EQ(random.next_u64(), 15177400186982322490u);
  EXPECT_EQ(random.next_u64(), 104724201951293673u);
  for (int i = 2; i < 512; ++i) random.next_u64();
  EXPECT_EQ(random.next_u64(), 17736027786556166331u) << "the second block of keystream";
  EXPECT_EQ(SeededRandom(std::uint64_t{42}).fork(1).next_u64(), 6742565663264588316u);
}

TEST(SeededRandomTest, BelowIsInRangeAndNormalHasItsMoments) {
  SeededRandom random(std::uint64_t{7});
  double sum = 0, squares = 0;
  constexpr int kDraws = 20000;
  for (int i = 0; i < kDraws; ++i) {
    EXPECT_LT(random.below(10), 10u);
    const double x = random.normal();
    sum += x;
    squares += x * x;
  }
  // Five standard errors; the seed is fixed, so this never flickers.
  EXPECT_NEAR(sum / kDraws, 0, 5 / std::sqrt(kDraws));
  EXPECT_NEAR(squares / kDraws, 1, 5 * std::sqrt(2.0 / kDraws));
}

TEST(SeededRandomTest, ForksAreIndependentOfWhatWasDrawn) {
  SeededRandom used(std::uint64_t{1});
  used.next_u64();
  EXPECT_EQ(used.fork(3).next_u64(), SeededRandom(std::uint64_t{1}).fork(3).next_u64());
  EXPECT_NE(used.fork(3).next_u64(), used.fork(4).next_u64());
}

}  // namespace
}  // namespace fedmesh
