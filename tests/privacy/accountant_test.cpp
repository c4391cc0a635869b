#include "privacy/accountant.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace fedmesh::privacy {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

constexpr std::int64_t kUnit = 1'000'000'000;
constexpr std::uint64_t kFine = std::uint64_t{1} << 40;

Accountant accountant_of(Budget budget) { return Accountant::create(budget).value(); }

TEST(AccountantTest, PureEpsilonAddsUpExactly) {
  auto accountant = accountant_of({.epsilon_nano = kUnit, .delta_pico = 0});
  for (int i = 0; i < 10; ++i) {
    ASSERT_TRUE(accountant.reserve(90'000'000).ok());
    ASSERT_TRUE(accountant.charge_reserved(90'000'000).ok());
  }
  ASSERT_TRUE(accountant.reserve(100'000'000).ok());
  EXPECT_EQ(accountant.epsilon_spent_nano(), 900'000'000);
  EXPECT_EQ(accountant.epsilon_with_reserved_nano(), kUnit);
  EXPECT_FALSE(accountant.reserve(1).ok());
}

TEST(AccountantTest, RefusesToOverspendWithNumbersAndChangesNothing) {
  auto accountant = accountant_of({.epsilon_nano = kUnit, .delta_pico = 0});
  ASSERT_TRUE(accountant.reserve(300'000'000).ok());
  ASSERT_TRUE(accountant.charge_reserved(300'000'000).ok());
  ASSERT_TRUE(accountant.reserve(500'000'000).ok());
  const AccountantState before = accountant.state();
  const auto refused = accountant.reserve(200'000'001);
  ASSERT_FALSE(refused.ok());
  EXPECT_EQ(refused.error().code, ErrorCode::exhausted);
  for (const char* number : {"asked for epsilon 0.200000001", "spent 0.300000000",
                             "reserved 0.500000000", "total 1.000000000"})
    EXPECT_THAT(refused.error().detail, HasSubstr(number));
  EXPECT_EQ(accountant.state(), before);
}

TEST(AccountantTest, AReleasedReservationIsFreeAgain) {
  auto accountant = accountant_of({.epsilon_nano = kUnit, .delta_pico = 0});
  ASSERT_TRUE(accountant.reserve(kUnit).ok());
  EXPECT_FALSE(accountant.reserve(kUnit).ok());
  ASSERT_TRUE(accountant.release(kUnit).ok());
  EXPECT_EQ(accountant.epsilon_with_reserved_nano(), 0);
  EXPECT_THAT(accountant.state().reserved, IsEmpty());
  EXPECT_TRUE(accountant.reserve(kUnit).ok());
}

TEST(AccountantTest, OnlyReservationsAreChargedOrReleased) {
  auto accountant = accountant_of({.epsilon_nano = kUnit, .delta_pico = 0});
  ASSERT_TRUE(accountant.reserve(5, 7).ok());
  for (const auto& failed : {accountant.charge_reserved(5), accountant.release(6, 7),
                             accountant.charge_reserved(-1), accountant.release(5, 8)}) {
    ASSERT_FALSE(failed.ok());
    EXPECT_EQ(failed.error().code, ErrorCode::not_found);
  }
  EXPECT_TRUE(accountant.charge_reserved(5, 7).ok());
  EXPECT_FALSE(accountant.charge_reserved(5, 7).ok());
}

TEST(AccountantTest, KeepsItsListsSorted) {
  auto accountant = accountant_of({.epsilon_nano = kUnit, .delta_pico = 1});
  for (const std::int64_t nano : {30, 10, 20, 10}) ASSERT_TRUE(accountant.reserve(nano, 9).ok());
  ASSERT_TRUE(accountant.reserve(10, 3).ok());
  EXPECT_THAT(accountant.state().reserved,
              ElementsAre(Charge{10, 3, 1}, Charge{10, 9, 2}, Charge{20, 9, 1}, Charge{30, 9, 1}));
}

// Composed with Mironov's formula at the best of a fine grid of orders, and bracketed from below by
// the privacy loss distribution; our orders and granules may add 0.3 %.
TEST(AccountantTest, ComposesAsRenyiDoesAndNeverBelow) {
  const struct {
    std::int64_t epsilon0_nano;
    std::uint64_t count;
    std::int64_t delta_pico;
    double renyi, loss_distribution;
  } kCases[] = {
      {100'000'000, 100, 10'000'000, 4.533, 4.2199},
      {50'000'000, 100, 1'000'000, 2.342, 2.1932},
      {500'000'000, 30, 10'000'000, 12.70, 12.204},
  };
  for (const auto& c : kCases) {
    const auto epsilon = [&](std::uint64_t granules) {
      return 1e-9 * static_cast<double>(composed_epsilon_nano(
                        {{c.epsilon0_nano, granules, c.count}}, {}, c.delta_pico));
    };
    for (const std::uint64_t granules : {std::uint64_t{4096}, kFine}) {
      EXPECT_GE(epsilon(granules), c.renyi - 0.0005);
      EXPECT_LE(epsilon(granules), c.renyi * 1.003);
    }
    EXPECT_GE(epsilon(1), epsilon(4096));  // randomised response: the worst for any mechanism
    EXPECT_LE(epsilon(1), c.renyi * 1.08);
    EXPECT_GT(epsilon(kFine), c.loss_distribution);
  }
}

// rdp_privacy_accountant_test.py: 100 events of epsilon 1 at delta 1e-10 cost 100: here the plain
// sum is as small.
TEST(AccountantTest, ThePlainSumCountsWhereItIsSmaller) {
  EXPECT_EQ(composed_epsilon_nano({{kUnit, kFine, 1}}, {}, 1), kUnit);
  EXPECT_LE(composed_epsilon_nano({{kUnit, kFine, 100}}, {}, 100), 100 * kUnit);
  EXPECT_EQ(composed_epsilon_nano({}, {}, 500), 0);
}

TEST(AccountantTest, DeltaBuysMoreRounds) {
  auto pure = accountant_of({.epsilon_nano = kUnit, .delta_pico = 0});
  auto approximate = accountant_of({.epsilon_nano = kUnit, .delta_pico = 10'000'000});
  const auto rounds = [](Accountant& accountant) {
    int count = 0;
    while (accountant.reserve(10'000'000, 4096).ok()) ++count;
    return count;
  };
  EXPECT_EQ(rounds(pure), 100);
  const int more = rounds(approximate);
  EXPECT_GT(more, 350);
  EXPECT_LE(approximate.epsilon_with_reserved_nano(), kUnit);
}

TEST(AccountantTest, SpendingNeverFalls) {
  auto accountant = accountant_of({.epsilon_nano = 3 * kUnit, .delta_pico = 10'000'000});
  std::int64_t spent = 0;
  for (int i = 0; i < 60; ++i) {
    const std::int64_t nano = 20'000'000 + 10'000'000 * (i % 3);
    if (!accountant.reserve(nano).ok()) break;
    ASSERT_TRUE(accountant.charge_reserved(nano).ok());
    EXPECT_GE(accountant.epsilon_spent_nano(), spent);
    spent = accountant.epsilon_spent_nano();
    EXPECT_LE(spent, 3 * kUnit);
  }
  EXPECT_GT(spent, 900'000'000);
}

TEST(AccountantTest, StateTravelsThroughTheCodec) {
  auto accountant = accountant_of({.epsilon_nano = 2 * kUnit, .delta_pico = 10'000'000});
  ASSERT_TRUE(accountant.reserve(100'000'000, 4096).ok());
  ASSERT_TRUE(accountant.charge_reserved(100'000'000, 4096).ok());
  ASSERT_TRUE(accountant.reserve(90'000'000).ok());
  const Bytes bytes = codec::encode(accountant.state());
  EXPECT_EQ(to_hex(bytes), "9392ce77359400ce009896809193ce05f5e100cd1000019193ce055d4a800101");
  auto back = Accountant::from_state(codec::decode<AccountantState>(bytes).value());
  ASSERT_TRUE(back.ok());
  EXPECT_EQ(back->state(), accountant.state());
  EXPECT_EQ(back->epsilon_spent_nano(), accountant.epsilon_spent_nano());
}

TEST(AccountantTest, RefusesStatesThatItNeverGave) {
  const Budget total{.epsilon_nano = kUnit, .delta_pico = 0};
  const std::vector<AccountantState> bad = {
      {.total = {}, .charged = {}, .reserved = {}},
      {.total = total, .charged = {{2, 1, 1}, {1, 1, 1}}, .reserved = {}},
      {.total = total, .charged = {{1, 1, 1}, {1, 1, 1}}, .reserved = {}},
      {.total = total, .charged = {}, .reserved = {{1, 1, 0}}},
      {.total = total, .charged = {{0, 1, 1}}, .reserved = {}},
      {.total = total, .charged = {{1, 0, 1}}, .reserved = {}},
      {.total = total, .charged = {{1, 1, ~std::uint64_t{0}}}, .reserved = {}},
      {.total = total, .charged = {{kUnit, 1, 1}}, .reserved = {{1, 1, 1}}},
      {.total = total, .charged = std::vector<Charge>(65, {1, 1, 1}), .reserved = {}},
  };
  for (std::size_t i = 0; i < bad.size(); ++i) {
    const auto result = Accountant::from_state(bad[i]);
    ASSERT_FALSE(result.ok()) << i;
    EXPECT_EQ(result.error().code, ErrorCode::corruption);
  }
}

TEST(AccountantTest, RefusesBudgetsAndEventsOutOfRange) {
  for (const Budget bad : {Budget{0, 0}, Budget{-1, 0}, Budget{kEpsilonNanoMax + 1, 0},
                           Budget{kUnit, -1}, Budget{kUnit, 1'000'000'000'000}})
    EXPECT_FALSE(Accountant::create(bad).ok());
  auto accountant = accountant_of({.epsilon_nano = kEpsilonNanoMax, .delta_pico = 999'999'999'999});
  for (const std::int64_t bad : {std::int64_t{0}, std::int64_t{-5}, kEpsilonNanoMax + 1}) {
    const auto result = accountant.reserve(bad);
    ASSERT_FALSE(result.ok());
    EXPECT_EQ(result.error().code, ErrorCode::invalid_argument);
  }
  EXPECT_FALSE(accountant.reserve(1, 0).ok());
  EXPECT_TRUE(accountant.reserve(kEpsilonNanoMax, ~std::uint64_t{0}).ok());
}

TEST(AccountantTest, LimitsTheKindsOfEvents) {
  auto accountant = accountant_of({.epsilon_nano = kUnit, .delta_pico = 0});
  for (std::size_t i = 1; i <= Accountant::kKindsMax; ++i)
    ASSERT_TRUE(accountant.reserve(static_cast<std::int64_t>(i)).ok());
  const auto refused = accountant.reserve(1'000);
  ASSERT_FALSE(refused.ok());
  EXPECT_EQ(refused.error().code, ErrorCode::exhausted);
  EXPECT_TRUE(accountant.reserve(1).ok());
}

}  // namespace
}  // namespace fedmesh::privacy
