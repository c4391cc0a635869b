#include "privacy/noise.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <map>

#include "base/crypto/digest.h"

namespace fedmesh::privacy {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

Digest seed_of(std::uint64_t n) { return crypto::Blake2b("test/noise").add_u64(n).finish(); }

DiscreteLaplace noise_of(std::uint64_t sensitivity, std::int64_t epsilon_nano) {
  return DiscreteLaplace::create({sensitivity, epsilon_nano}).value();
}

struct Scale {
  std::uint64_t sensitivity;
  std::int64_t epsilon_nano;
  double b() const { return static_cast<double>(sensitivity) / (epsilon_nano * 1e-9); }
};

void PrintTo(const Scale& scale, std::ostream* out) { *out << "b=" << scale.b(); }

// A seed once and for all: each bound below is one that fails for a correct sampler with
// probability under 1e-6 a case over the choice of the seed.
class DiscreteLaplaceTest : public testing::TestWithParam<Scale> {
 protected:
  static constexpr std::size_t kSamples = 400'000;
  static constexpr double kDeviations = 5;  // two-sided normal tail 5.7e-7

  std::vector<std::int64_t> samples() const {
    return noise_of(GetParam().sensitivity, GetParam().epsilon_nano).sample(kSamples, seed_of(7));
  }
  // Of the ideal law: q, variance 2q/(1-q)², fourth central moment from the geometric sums.
  double q() const { return std::exp(-1 / GetParam().b()); }
  double one_minus_q() const { return -std::expm1(-1 / GetParam().b()); }
  double variance() const { return 2 * q() / (one_minus_q() * one_minus_q()); }
  double fourth_moment() const {
    return 2 * q() * (1 + 10 * q() + q() * q()) / std::pow(one_minus_q(), 4);
  }
};

TEST_P(DiscreteLaplaceTest, HasTheMeanAndVarianceOfTheLaw) {
  double sum = 0, squares = 0;
  for (const std::int64_t x : samples()) {
    sum += static_cast<double>(x);
    squares += static_cast<double>(x) * static_cast<double>(x);
  }
  const double n = kSamples;
  EXPECT_NEAR(sum / n, 0, kDeviations * std::sqrt(variance() / n));
  EXPECT_NEAR(squares / n, variance(),
              kDeviations * std::sqrt((fourth_moment() - variance() * variance()) / n));
}

TEST_P(DiscreteLaplaceTest, IsSymmetric) {
  double positive = 0, negative = 0;
  for (const std::int64_t x : samples()) {
    positive += x > 0;
    negative += x < 0;
  }
  EXPECT_LE(std::abs(positive - negative), kDeviations * std::sqrt(positive + negative) + 1);
}

// Pearson's statistic over about thirty cells of the exact law, each expecting over a hundred
// values. Its upper tail beyond mean + 6 deviations is below 1e-6 for these degrees of freedom
// (Laurent and Massart 2000, Lemma 1, with x = 14).
TEST_P(DiscreteLaplaceTest, FitsTheExactProbabilities) {
  const double b = GetParam().b();
  const auto width = static_cast<std::int64_t>(std::max(1.0, std::floor(b / 4)));
  std::map<std::int64_t, double> observed;
  const auto cell_of = [&](std::int64_t x) {
    const std::int64_t cell = x >= 0 ? x / width : -((-x - 1) / width) - 1;
    return std::clamp<std::int64_t>(cell, -15, 14);
  };
  for (const std::int64_t x : samples()) observed[cell_of(x)] += 1;
  // P(X >= k) = q^k / (1 + q) for k >= 1, and by symmetry below zero.
  const auto upper = [&](double k) { return std::exp(-k / b) / (1 + q()); };
  double statistic = 0, pooled_expected = 0, pooled_observed = 0;
  int cells = 0;
  for (std::int64_t cell = -15; cell <= 14; ++cell) {
    const double low = static_cast<double>(cell * width), high = low + static_cast<double>(width);
    double p = 0;  // of [low, high)
    if (cell == -15) {
      p = upper(-high + 1);
    } else if (cell == 14) {
      p = upper(low);
    } else if (cell >= 1) {
      p = upper(low) - upper(high);
    } else if (cell == 0) {
      p = one_minus_q() / (1 + q()) + upper(1) - upper(high);
    } else {
      p = upper(-high + 1) - upper(-low + 1);
    }
    const double expected = p * kSamples;
    if (expected < 100) {
      pooled_expected += expected;
      pooled_observed += observed[cell];
      continue;
    }
    statistic += std::pow(observed[cell] - expected, 2) / expected;
    ++cells;
  }
  if (pooled_expected > 5) {
    statistic += std::pow(pooled_observed - pooled_expected, 2) / pooled_expected;
    ++cells;
  }
  const double degrees = cells - 1;
  EXPECT_LE(statistic, degrees + 2 * std::sqrt(14 * degrees) + 28) << cells;
}

INSTANTIATE_TEST_SUITE_P(Scales, DiscreteLaplaceTest,
                         testing::Values(Scale{1, 4'000'000'000},        // b = 0.25
                                         Scale{1, 1'500'000'000},        // b = 0.67
                                         Scale{1, 1'000'000'000},        // b = 1
                                         Scale{3, 700'000'000},          // b = 4.3
                                         Scale{1 << 12, 90'000'000},     // b = 45,511
                                         Scale{1 << 20, 1'000'000'000},  // b = 2^20
                                         Scale{281474976, 1'001}));      // b = 2.8e14

// Computed by an independent program: ChaCha20 in Python, thresholds by mpmath with 80 digits.
TEST(NoiseTest, SamplesAreForEver) {
  Digest seed;
  for (std::size_t i = 0; i < seed.bytes.size(); ++i) seed.bytes[i] = static_cast<std::uint8_t>(i);
  EXPECT_THAT(noise_of(1 << 20, 1'000'000'000).sample(6, seed),
              ElementsAre(1066815, 516867, 395134, -30146, -89103, 362250));
  EXPECT_THAT(noise_of(1, 1'000'000'000).sample(12, seed),
              ElementsAre(1, 0, 0, 1, 1, 2, 0, 0, -1, 0, -2, 3));
  crypto::Blake2b digest;
  for (const std::int64_t x : noise_of(1 << 16, 90'000'000).sample(1000, seed))
    digest.add_u64(static_cast<std::uint64_t>(x));
  EXPECT_EQ(digest.finish().short_hex(), "e347e0f1");
}

TEST(NoiseTest, AShorterVectorIsAPrefix) {
  const auto noise = noise_of(1000, 10'000'000);
  const auto all = noise.sample(1000, seed_of(3));
  for (const std::size_t n : {0u, 1u, 63u, 64u, 65u, 999u}) {
    const auto some = noise.sample(n, seed_of(3));
    EXPECT_TRUE(std::equal(some.begin(), some.end(), all.begin())) << n;
  }
  EXPECT_NE(all, noise.sample(1000, seed_of(4)));
}

TEST(NoiseTest, IsAddedAndStaysAtTheLimits) {
  const auto noise = noise_of(1 << 20, 10'000'000);
  const auto plain = noise.sample(200, seed_of(5));
  std::vector<std::int64_t> shifted(200, 1000), high(200, std::numeric_limits<std::int64_t>::max()),
      low(200, std::numeric_limits<std::int64_t>::min());
  noise.add(shifted, seed_of(5));
  noise.add(high, seed_of(5));
  noise.add(low, seed_of(5));
  for (std::size_t i = 0; i < plain.size(); ++i) {
    EXPECT_EQ(shifted[i], plain[i] + 1000);
    EXPECT_EQ(high[i],
              std::numeric_limits<std::int64_t>::max() + std::min<std::int64_t>(plain[i], 0));
    EXPECT_EQ(low[i],
              std::numeric_limits<std::int64_t>::min() + std::max<std::int64_t>(plain[i], 0));
  }
}

// The missing tail weighs exp(-2^bits / b), at most exp(-90).
TEST(NoiseTest, HasEnoughBits) {
  for (const Scale s :
       {Scale{1, 64'000'000'000}, Scale{1, 1'000'000'000}, Scale{1 << 20, 1'000'000'000},
        Scale{std::uint64_t{1} << 48, 1'000'000'000}}) {
    const unsigned bits = noise_of(s.sensitivity, s.epsilon_nano).magnitude_bits();
    EXPECT_GE(std::ldexp(1.0, static_cast<int>(bits)) / s.b(), 90);
    EXPECT_LT(std::ldexp(0.5, static_cast<int>(bits)) / s.b(), 90);
    EXPECT_LE(bits, 55u);
  }
}

TEST(NoiseTest, RefusesScalesThatGiveNoPrivacyOrDoNotFit) {
  const auto detail = [](std::uint64_t sensitivity, std::int64_t epsilon_nano) {
    const auto result = DiscreteLaplace::create({sensitivity, epsilon_nano});
    return result.ok() ? std::string("accepted") : result.error().to_string();
  };
  EXPECT_THAT(detail(0, 1), HasSubstr("above zero"));
  EXPECT_THAT(detail(1, 0), HasSubstr("above zero"));
  EXPECT_THAT(detail(1, -1), HasSubstr("above zero"));
  EXPECT_THAT(detail(1, 64'000'000'001), HasSubstr("below 1/64"));
  EXPECT_THAT(detail(1, std::numeric_limits<std::int64_t>::max()), HasSubstr("below 1/64"));
  EXPECT_THAT(detail((std::uint64_t{1} << 48) + 1, 1'000'000'000), HasSubstr("above 2^48"));
  EXPECT_THAT(detail(~std::uint64_t{0}, 1), HasSubstr("above 2^48"));
  EXPECT_EQ(detail(1, 64'000'000'000), "accepted");
  EXPECT_EQ(detail(std::uint64_t{1} << 48, 1'000'000'000), "accepted");
}

}  // namespace
}  // namespace fedmesh::privacy
