#include "base/bytes.h"

#include <gtest/gtest.h>

namespace fedmesh {
namespace {

TEST(BytesTest, HexThereAndBack) {
  EXPECT_EQ(to_hex(Bytes{0x00, 0xa5, 0xff}), "00a5ff");
  EXPECT_EQ(*from_hex("00A5ff"), (Bytes{0x00, 0xa5, 0xff}));
  EXPECT_FALSE(from_hex("abc").ok());
  EXPECT_FALSE(from_hex("zz").ok());
}

TEST(BytesTest, LittleEndian) {
  Bytes bytes(8);
  store_le64(bytes, 0x0102030405060708u);
  EXPECT_EQ(bytes, (Bytes{8, 7, 6, 5, 4, 3, 2, 1}));
  EXPECT_EQ(load_le64(bytes), 0x0102030405060708u);
  EXPECT_EQ(load_le32(bytes), 0x05060708u);
}

TEST(BytesTest, OrderIsLexicographic) {
  const BytesLess less;
  EXPECT_TRUE(less(Bytes{1}, Bytes{1, 0}));
  EXPECT_TRUE(less(Bytes{1, 255}, Bytes{2}));
  EXPECT_FALSE(less(Bytes{2}, Bytes{2}));
}

}  // namespace
}  // namespace fedmesh
