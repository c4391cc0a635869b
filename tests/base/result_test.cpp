#include "base/result.h"

#include <gtest/gtest.h>

namespace fedmesh {
namespace {

Result<int> half(int value) {
  if (value % 2 != 0) return invalid_argument(std::to_string(value) + " is odd");
  return value / 2;
}
Result<int> quarter(int value) {
  FM_TRY(const int once, half(value));
  FM_TRY_VOID(half(once));
  return half(once);
}

TEST(ResultTest, TryPassesTheFirstErrorOn) {
  EXPECT_EQ(*quarter(8), 2);
  EXPECT_EQ(quarter(6).error(), invalid_argument("3 is odd"));
}

TEST(ResultTest, ErrorsReadWell) {
  EXPECT_EQ(stale("round 7").with_context("update").to_string(), "stale: update: round 7");
}

TEST(ResultDeathTest, ValueOfAFailureIsADefect) {
  EXPECT_DEATH((void)half(1).value(), "invariant violated");
}

}  // namespace
}  // namespace fedmesh
