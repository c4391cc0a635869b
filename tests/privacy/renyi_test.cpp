#include "privacy/renyi.h"

#include <gtest/gtest.h>

#include <cmath>

namespace fedmesh::privacy {
namespace {

double real(Uint128 units) { return static_cast<double>(units) * 0x1.0p-64; }

// Mironov 2017, Prop. 6, computed with 40 digits; the rows are orders 1.5, 2, 4, 8, 32, 256.
struct Row {
  std::int64_t epsilon0_nano;
  double costs[6];
};
constexpr std::uint64_t kExcess[6] = {64, 128, 3 * 128, 7 * 128, 31 * 128, 255 * 128};
constexpr Row kContinuous[] = {
    {100'000'000,
     {.00724748538933, .00964420784034, .0189912149634, .0356767734344, .0782057585889,
      .0972894425658}},
    {500'000'000,
     {.155977878486, .200303896174, .320926530179, .410267881762, .478148425045, .497289442566}},
    {1'000'000'000,
     {.512883511295, .619123629999, .813689296593, .910198801177, .978148425045, .997289442566}},
    {2'000'000'000,
     {1.43680915841, 1.59577350059, 1.8134616119, 1.91019876294, 1.97814842505, 1.99728944257}},
};

TEST(RenyiTest, ApproachesContinuousLaplaceFromAbove) {
  for (const Row& row : kContinuous)
    for (std::size_t i = 0; i < 6; ++i) {
      const double fine = real(laplace_renyi({row.epsilon0_nano, kSensitivityMax}, kExcess[i]));
      EXPECT_NEAR(fine, row.costs[i], row.costs[i] * 1e-11);
      for (const std::uint64_t granules : {1u, 2u, 100u, 4096u}) {
        const double coarse = real(laplace_renyi({row.epsilon0_nano, granules}, kExcess[i]));
        EXPECT_GE(coarse, row.costs[i] * (1 - 1e-11)) << granules;
      }
    }
}

// The divergence itself, summed term by term over the two laws: bounds from above and closely.
TEST(RenyiTest, IsTheDivergenceOfDiscreteLaplace) {
  for (const std::uint64_t granules : {1u, 2u, 3u, 10u})
    for (const double epsilon0 : {0.2, 1.0, 3.0})
      for (const std::uint64_t excess : {16u, 64u, 128u, 640u}) {
        const double alpha = 1 + static_cast<double>(excess) / 128;
        const double h = epsilon0 / static_cast<double>(granules);
        const double shift = static_cast<double>(granules);
        double sum = 0;
        for (int k = -3000; k <= 3000; ++k)
          sum += std::exp(-h * (alpha * std::abs(k) + (1 - alpha) * std::abs(k - shift)));
        const double expected = std::log(std::tanh(h / 2) * sum) / (alpha - 1);
        const auto nano = static_cast<std::int64_t>(std::llround(epsilon0 * 1e9));
        EXPECT_NEAR(real(laplace_renyi({nano, granules}, excess)), expected, 1e-9);
      }
}

TEST(RenyiTest, CostsGrowWithEpsilonAndOrderAndFallWithSensitivity) {
  for (const std::int64_t nano : {std::int64_t{1}, std::int64_t{1'000}, std::int64_t{90'000'000},
                                  std::int64_t{5'000'000'000}, kEpsilonNanoMax}) {
    const RenyiCosts costs = laplace_renyi({nano, 4096});
    for (std::size_t i = 0; i < kOrders; ++i) {
      EXPECT_GE(costs[i] + 4, i > 0 ? costs[i - 1] : 0);
      EXPECT_GT(costs[i], 0u);
      EXPECT_LE(real(costs[i]), static_cast<double>(nano) * 1e-9 * (1 + 1e-9) + 1e-15);
      EXPECT_GE(laplace_renyi({nano, 1}, order_excess_128ths(i)) + 4, costs[i]);
      EXPECT_GT(costs[i] + 4, laplace_renyi({nano - nano / 2, 4096}, order_excess_128ths(i)));
    }
  }
}

// No sensitivity makes a vector dearer than its whole shift in one coordinate.
TEST(RenyiTest, IsSuperadditiveInTheShift) {
  for (const std::uint64_t whole : {2u, 7u, 64u})
    for (std::uint64_t part = 1; part < whole; part += 3)
      for (std::size_t i = 0; i < kOrders; i += 10) {
        const std::int64_t per_granule = 30'000'000;
        const auto cost = [&](std::uint64_t s) {
          return real(laplace_renyi({per_granule * static_cast<std::int64_t>(s), s},
                                    order_excess_128ths(i)));
        };
        EXPECT_LE(cost(part) + cost(whole - part), cost(whole) * (1 + 1e-12));
      }
}

// rdp_privacy_accountant_test.py of Google's differential-privacy library: a constant 1.1 at order
// 32 with delta 1e-5 gives 1.32783806176.
TEST(RenyiTest, ConvertsAsGoogleDoes) {
  const auto cost = static_cast<Uint128>(std::ldexp(1.1, 64));
  const std::int64_t epsilon = epsilon_of(cost, 31 * 128, 10'000'000);
  EXPECT_GE(epsilon, 1'327'838'061);
  EXPECT_LE(epsilon, 1'327'838'063);
}

TEST(RenyiTest, TheOrdersGrow) {
  EXPECT_EQ(order_excess_128ths(0), 8u);
  EXPECT_EQ(order_excess_128ths(kOrders - 1), 960u * 128);
  for (std::size_t i = 1; i < kOrders; ++i)
    EXPECT_GT(order_excess_128ths(i), order_excess_128ths(i - 1));
}

}  // namespace
}  // namespace fedmesh::privacy
