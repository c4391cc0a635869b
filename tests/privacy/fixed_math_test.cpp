#include "privacy/fixed_math.h"

#include <gtest/gtest.h>

#include <cmath>

namespace fedmesh::privacy {
namespace {

Uint128 wide(std::uint64_t high, std::uint64_t low) {
  return static_cast<Uint128>(high) << 64 | low;
}

Uint128 distance(Uint128 a, Uint128 b) { return a > b ? a - b : b - a; }

// The first 128 fractional bits, from mpmath with 80 digits.
TEST(FixedMathTest, ExponentialsAgreeWithMultiprecision) {
  const struct {
    Uint128 numerator, denominator, expected;
  } kCases[] = {
      {1, 1, wide(0x5e2d58d8b3bcdf1a, 0xbadec7829054f90d)},
      {1, 3, wide(0xb76e989179752689, 0xc5984c9c50ebe4c9)},
      {41, 2, wide(0x55e8ebfbb, 0x402ad3f4d19cefc8)},
      {1, 1'000'000'000, wide(0xfffffffbb47d05ff, 0x8389bc22622eaced)},
      {80, 1, wide(0, 0x17fd)},
  };
  for (const auto& c : kCases)
    EXPECT_LE(
        distance(exp_minus(Fixed::ratio(c.numerator, c.denominator)).fraction_128(), c.expected),
        1u);
  EXPECT_EQ(exp_minus(Fixed()), Fixed::integer(1));
  EXPECT_TRUE(exp_minus(Fixed::integer(~std::uint64_t{0})).is_zero());
  EXPECT_LE(exp_minus(Fixed::ratio(13999, 100)).units_64(), 1u);
}

TEST(FixedMathTest, LogarithmsAgreeWithMultiprecision) {
  const struct {
    Uint128 numerator, denominator;
    std::uint64_t whole;
    Uint128 fraction;
  } kCases[] = {
      {1, 2, 0, wide(0xb17217f7d1cf79ab, 0xc9e3b39803f2f6af)},
      {2, 3, 0, wide(0x67cc8fb2fe612fca, 0xda35d9bd01488606)},
      {1, 100'000, 11, wide(0x834f1551552d71ca, 0x4ec8bb66387ccb31)},
      {999'999'999, 1'000'000'000, 0, wide(0x44b82fa12, 0xeed415bd15e3c3a8)},
  };
  for (const auto& c : kCases) {
    const Fixed y = minus_log(Fixed::ratio(c.numerator, c.denominator));
    EXPECT_EQ(y.integer_part(), c.whole);
    EXPECT_LE(distance(y.fraction_128(), c.fraction), 1u);
  }
  EXPECT_TRUE(minus_log(Fixed::integer(1)).is_zero());
}

TEST(FixedMathTest, LogarithmUndoesExponential) {
  for (std::uint64_t i = 1; i < 400; ++i) {
    const Fixed x = Fixed::ratio(i, 7);
    const double back = static_cast<double>(minus_log(exp_minus(x)).units_64()) * 0x1.0p-64;
    EXPECT_NEAR(back, static_cast<double>(i) / 7, 1e-12);
  }
}

TEST(FixedMathTest, DividesAndMultipliesExactly) {
  const Fixed third = Fixed::ratio(1, 3);
  EXPECT_EQ(Fixed::integer(12) / Fixed::integer(4), Fixed::integer(3));
  EXPECT_EQ(Fixed::integer(1) / Fixed::integer(3), third);
  EXPECT_EQ(Fixed::integer(1) / 3, third);
  EXPECT_EQ((third * 3).integer_part(), 0u);
  EXPECT_EQ(Fixed::integer(1) - third * 3, Fixed::integer(1) - (third + third + third));
  EXPECT_EQ(Fixed::ratio(7, 2) * Fixed::ratio(5, 4), Fixed::ratio(35, 8));
  const Uint128 big = wide(~std::uint64_t{0}, 0);
  EXPECT_EQ(Fixed::ratio(big, wide(1, 0)), Fixed::integer(~std::uint64_t{0}));
  EXPECT_LT(third, Fixed::ratio(1, 2));
}

TEST(FixedMathDeathTest, StopsOnMisuse) {
  EXPECT_DEATH(Fixed::integer(1) - Fixed::integer(2), "negative");
  EXPECT_DEATH(minus_log(Fixed()), "logarithm");
  EXPECT_DEATH(Fixed::ratio(1, 0), "division");
  EXPECT_DEATH(Fixed::integer(~std::uint64_t{0}) * Fixed::integer(2), "product");
}

}  // namespace
}  // namespace fedmesh::privacy
