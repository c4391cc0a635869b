#include "aggregation/rule.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <limits>

namespace fedmesh::aggregation {
namespace {

using ::testing::HasSubstr;

TEST(RuleTest, IsMadeByName) {
  EXPECT_EQ(make_rule("mean").value()->name(), "mean");
  EXPECT_EQ(make_rule("fedavg").value()->name(), "mean");
  const auto unknown = make_rule("krumm");
  ASSERT_FALSE(unknown.ok());
  EXPECT_THAT(unknown.error().detail, HasSubstr("choose mean"));
}

TEST(RuleTest, RefusesWhatCouldOverflow) {
  constexpr std::uint32_t kWeightMax = std::numeric_limits<std::uint32_t>::max();
  EXPECT_TRUE(check_capacity(1, 1).ok());
  EXPECT_TRUE(check_capacity(std::uint64_t{1} << 31, 1).ok());
  EXPECT_FALSE(check_capacity((std::uint64_t{1} << 31) + 1, 1).ok());
  EXPECT_TRUE(check_capacity(1, 1u << 31).ok());
  EXPECT_FALSE(check_capacity(1, kWeightMax).ok());
  EXPECT_TRUE(check_capacity(1 << 15, 1 << 16).ok());
  EXPECT_FALSE(check_capacity(1 << 15, (1 << 16) + 1).ok());
  EXPECT_FALSE(check_capacity(0, 1).ok());
  EXPECT_FALSE(check_capacity(1, 0).ok());
}

TEST(RuleTest, NamesTheUpdateThatIsWrong) {
  const std::vector<std::int32_t> two = {1, 2}, three = {1, 2, 3}, none;
  const auto detail = [](const std::vector<WeightedUpdate>& updates) {
    const auto result = check_updates(updates);
    return result.ok() ? std::string("accepted") : result.error().to_string();
  };
  EXPECT_EQ(detail({{two, 1}, {two, 5}}), "accepted");
  EXPECT_THAT(detail({}), HasSubstr("no updates"));
  EXPECT_THAT(detail({{none, 1}}), HasSubstr("no values"));
  EXPECT_THAT(detail({{two, 1}, {three, 1}}), HasSubstr("update 1 has 3 values"));
  EXPECT_THAT(detail({{two, 1}, {two, 0}}), HasSubstr("update 1 has weight zero"));
  EXPECT_THAT(detail({{two, 1u << 31}, {two, 1}}), HasSubstr("overflow"));
}

}  // namespace
}  // namespace fedmesh::aggregation
