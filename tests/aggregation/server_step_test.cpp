#include "aggregation/server_step.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cfenv>
#include <cmath>
#include <limits>

#if defined(__SSE2__)
#include <xmmintrin.h>
#endif

#include "base/crypto/digest.h"
#include "base/random.h"

namespace fedmesh::aggregation {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

constexpr std::int64_t kWhole = 1'000'000'000;

TEST(ServerStepTest, AddsTheMean) {
  const std::vector<float> base = {1.0f, -2.0f, 0.0f};
  const std::vector<std::int64_t> sum = {4 << 10, -(2 << 10), 1};
  EXPECT_THAT(apply_mean(base, sum, 4, 10, kWhole).value(), ElementsAre(2.0f, -2.5f, 1.0f / 4096));
  EXPECT_THAT(apply_mean(base, sum, 4, 10, -kWhole / 2).value(),
              ElementsAre(0.5f, -1.75f, -1.0f / 8192));
  EXPECT_THAT(apply_mean(base, sum, 4, 10, 0).value(), ElementsAre(1.0f, -2.0f, 0.0f));
  EXPECT_TRUE(apply_mean({}, {}, 1, 0, kWhole).value().empty());
}

std::string golden_digest() {
  SeededRandom random(1);
  std::vector<float> base(1000);
  std::vector<std::int64_t> sum(1000);
  for (auto& v : base) v = static_cast<float>(random.normal());
  for (auto& v : sum) v = static_cast<std::int64_t>(random.next_u64()) >> 20;
  const auto next = apply_mean(base, sum, 4999, 20, 123'456'789).value();
  return crypto::blake2b({reinterpret_cast<const std::uint8_t*>(next.data()), next.size() * 4})
      .short_hex();
}

TEST(ServerStepTest, GivesTheSameBitsForEver) { EXPECT_EQ(golden_digest(), "e3ec5d68"); }

TEST(ServerStepTest, DoesNotDependOnTheCallersRoundingMode) {
  for (const int mode : {FE_UPWARD, FE_DOWNWARD, FE_TOWARDZERO}) {
    const auto inside = [&] {
      std::vector<float> base = {1.0f, 3.0f};
      const std::vector<std::int64_t> sum = {1, -7};
      return apply_mean(base, sum, 3, 4, 333'333'333).value();
    };
    const auto nearest = inside();
    ASSERT_EQ(std::fesetround(mode), 0);
    const auto other = inside();
    EXPECT_EQ(std::fegetround(), mode);
    std::fesetround(FE_TONEAREST);
    EXPECT_EQ(nearest, other);
  }
}

// LibTorch and others may have left the thread in flush-to-zero mode.
TEST(ServerStepTest, KeepsSubnormals) {
  const std::vector<float> tiny = {std::numeric_limits<float>::denorm_min()};
  const std::vector<std::int64_t> none = {0};
#if defined(__SSE2__)
  const unsigned before = _mm_getcsr();
  _mm_setcsr(before | 0x8040);  // flush to zero, subnormals are zeros
  const auto result = apply_mean(tiny, none, 1, 0, kWhole);
  const unsigned after = _mm_getcsr();
  _mm_setcsr(before);
  EXPECT_EQ(after & 0x8040u, 0x8040u);
#else
  const auto result = apply_mean(tiny, none, 1, 0, kWhole);
#endif
  ASSERT_TRUE(result.ok());
  EXPECT_TRUE((*result)[0] == tiny[0]);
}

TEST(ServerStepTest, RefusesWhatIsNotFiniteAndNamesIt) {
  const std::vector<std::int64_t> sum = {0, std::numeric_limits<std::int64_t>::max()};
  for (const float bad : {std::nanf(""), std::numeric_limits<float>::infinity()}) {
    const auto result = apply_mean(std::vector<float>{0, bad}, sum, 1, 0, kWhole);
    ASSERT_FALSE(result.ok());
    EXPECT_THAT(result.error().detail, HasSubstr("parameter 1 "));
  }
}

TEST(ServerStepTest, RefusesArgumentsOutOfRange) {
  const std::vector<float> base = {0.0f};
  const std::vector<std::int64_t> sum = {1}, longer = {1, 2};
  EXPECT_FALSE(apply_mean(base, longer, 1, 0, kWhole).ok());
  EXPECT_FALSE(apply_mean(base, sum, 0, 0, kWhole).ok());
  EXPECT_FALSE(apply_mean(base, sum, (std::uint64_t{1} << 53) + 1, 0, kWhole).ok());
  EXPECT_FALSE(apply_mean(base, sum, 1, 31, kWhole).ok());
  EXPECT_FALSE(apply_mean(base, sum, 1, 0, std::numeric_limits<std::int64_t>::min()).ok());
}

TEST(ServerStepTest, AveragesIterates) {
  std::vector<double> sum(2, 0.0);
  running_average(sum, std::vector<float>{1.0f, 0.5f});
  running_average(sum, std::vector<float>{2.0f, -0.5f});
  running_average(sum, std::vector<float>{6.0f, 3.0f});
  EXPECT_THAT(average(sum, 3), ElementsAre(3.0f, 1.0f));
  EXPECT_THAT(average(sum, 0), ElementsAre(0.0f, 0.0f));
}

}  // namespace
}  // namespace fedmesh::aggregation
