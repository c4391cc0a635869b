#include "privacy/budget.h"

#include <gtest/gtest.h>

namespace fedmesh::privacy {
namespace {

constexpr std::int64_t kUnit = 1'000'000'000;

// The answer is the truth: so many fit one after the other, and no more.
TEST(BudgetTest, SaysHowManyEventsFit) {
  for (const std::int64_t delta_pico : {std::int64_t{0}, std::int64_t{10'000'000}}) {
    auto accountant = Accountant::create({.epsilon_nano = kUnit, .delta_pico = delta_pico}).value();
    ASSERT_TRUE(accountant.reserve(100'000'000, 4096).ok());
    ASSERT_TRUE(accountant.charge_reserved(100'000'000, 4096).ok());
    ASSERT_TRUE(accountant.reserve(50'000'000).ok());
    const std::uint64_t fit = events_that_fit(accountant, {20'000'000, 4096}).value();
    EXPECT_TRUE(delta_pico == 0 ? fit == 42 : fit > 42) << fit;
    for (std::uint64_t i = 0; i < fit; ++i) ASSERT_TRUE(accountant.reserve(20'000'000, 4096).ok());
    EXPECT_FALSE(accountant.reserve(20'000'000, 4096).ok());
    EXPECT_EQ(events_that_fit(accountant, {20'000'000, 4096}).value(), 0u);
  }
}

TEST(BudgetTest, PlansTheLargestEpsilonPerEvent) {
  EXPECT_EQ(epsilon_per_event({kUnit, 0}, 11).value(), 90'909'090);
  const Budget budget{.epsilon_nano = kUnit, .delta_pico = 10'000'000};
  const std::int64_t each = epsilon_per_event(budget, 30, 4096).value();
  EXPECT_GT(each, 45'000'000);  // a third more than the plain sum's 33 million
  EXPECT_LE(composed_epsilon_nano({{each, 4096, 30}}, {}, budget.delta_pico), kUnit);
  EXPECT_GT(composed_epsilon_nano({{each + 1, 4096, 30}}, {}, budget.delta_pico), kUnit);
}

TEST(BudgetTest, RefusesPlansThatMakeNoSense) {
  const auto accountant = Accountant::create({kUnit, 0}).value();
  EXPECT_FALSE(events_that_fit(accountant, {0, 1}).ok());
  EXPECT_FALSE(events_that_fit(accountant, {1, 0}).ok());
  EXPECT_FALSE(epsilon_per_event({0, 0}, 1).ok());
  EXPECT_FALSE(epsilon_per_event({kUnit, 0}, 0).ok());
  EXPECT_FALSE(epsilon_per_event({kUnit, 0}, 1, 0).ok());
  const auto refused = epsilon_per_event({10, 0}, 11);
  ASSERT_FALSE(refused.ok());
  EXPECT_EQ(refused.error().code, ErrorCode::exhausted);
}

}  // namespace
}  // namespace fedmesh::privacy
