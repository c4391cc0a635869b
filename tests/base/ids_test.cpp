#include "base/ids.h"

#include <gtest/gtest.h>

#include <type_traits>

namespace fedmesh {
namespace {

static_assert(!std::is_convertible_v<NodeId, Digest>);
static_assert(!std::is_convertible_v<RoundNumber, Height>);

TEST(IdsTest, TextThereAndBack) {
  Digest id;
  id.bytes[0] = 0xab;
  EXPECT_EQ(*Digest::from_hex(id.hex()), id);
  EXPECT_EQ(id.short_hex(), "ab000000");
  EXPECT_FALSE(id.is_zero());
  EXPECT_FALSE(Digest::from_hex("ab").ok());
  EXPECT_FALSE(Digest::from_bytes(Bytes(31)).ok());
}

TEST(IdsTest, OrderIsThatOfTheBytes) {
  NodeId low, high;
  low.bytes[31] = 255;
  high.bytes[0] = 1;
  EXPECT_LT(low, high);
  EXPECT_EQ(RoundNumber{4}.next(), RoundNumber{5});
}

}  // namespace
}  // namespace fedmesh
