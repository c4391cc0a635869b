#include "base/codec/codec.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace fedmesh::codec {
namespace {

using ::testing::HasSubstr;

enum class Colour : std::uint8_t { red = 1, green = 2 };
inline bool is_known(Colour c) { return c == Colour::red || c == Colour::green; }

struct Inner {
  std::int64_t number = 0;
  Colour colour = Colour::red;
  FM_FIELDS(number, colour)
  friend bool operator==(const Inner&, const Inner&) = default;
};
struct Outer {
  bool flag = false;
  std::uint32_t small = 0;
  std::string text;
  Bytes blob;
  Digest id;
  RoundNumber round;
  std::optional<Inner> maybe;
  std::vector<std::pair<std::uint64_t, Inner>> many;
  std::array<std::uint8_t, 4> fixed{};
  FM_FIELDS(flag, small, text, blob, id, round, maybe, many, fixed)
  friend bool operator==(const Outer&, const Outer&) = default;
};

Outer example() {
  Outer value;
  value.flag = true;
  value.small = 300;
  value.text = "hé";
  value.blob = {1, 2};
  value.round = {70000};
  value.maybe = Inner{-129, Colour::green};
  value.many = {{UINT64_MAX, {INT64_MIN, Colour::red}}, {0, {INT64_MAX, Colour::green}}};
  value.fixed = {9, 8, 7, 6};
  return value;
}

TEST(CodecTest, RoundTripAndGoldenBytes) {
  const Bytes bytes = encode(example());
  EXPECT_EQ(*decode<Outer>(bytes), example());
  EXPECT_EQ(to_hex(encode(Inner{-129, Colour::green})), "92d1ff7f02");
  EXPECT_EQ(to_hex(encode(std::optional<std::uint64_t>())), "90");
}

TEST(CodecTest, EveryPrefixAndEveryTrailingByteIsRefused) {
  const Bytes bytes = encode(example());
  for (std::size_t size = 0; size < bytes.size(); ++size)
    EXPECT_FALSE(decode<Outer>(ByteView(bytes).first(size)).ok()) << size;
  Bytes longer = bytes;
  longer.push_back(0);
  EXPECT_THAT(decode<Outer>(longer).error().detail, HasSubstr("trailing"));
}

TEST(CodecTest, OnlyTheCanonicalFormIsAccepted) {
  struct Case {
    const char* what;
    const char* hex;
  };
  for (const Case& c : {Case{"non-minimal positive", "92cc0501"},
                        {"wide array header", "dc00020501"},
                        {"signed form of a positive", "92d00501"},
                        {"float", "92ca3f80000001"},
                        {"nil", "92c001"},
                        {"map", "8205010601"},
                        {"short array", "9105"},
                        {"long array", "93050101"},
                        {"unknown enumerator", "920503"},
                        {"enumerator over 255", "9205cd0101"},
                        {"text for a number", "92a13501"},
                        {"extension", "92d4010001"},
                        {"never used byte", "92c101"}})
    EXPECT_FALSE(decode<Inner>(*from_hex(c.hex)).ok()) << c.what;
  EXPECT_TRUE(decode<Inner>(*from_hex("920501")).ok());
  EXPECT_FALSE(decode<Bytes>(*from_hex("c5000161")).ok()) << "wide byte string header";
  EXPECT_FALSE(decode<std::string>(*from_hex("d90161")).ok()) << "wide text header";
  EXPECT_FALSE(decode<bool>(*from_hex("01")).ok());
}

TEST(CodecTest, NumbersOutsideTheFieldAreRefused) {
  EXPECT_FALSE(decode<std::uint32_t>(encode(std::uint64_t{1} << 32)).ok());
  EXPECT_FALSE(decode<std::uint64_t>(encode(std::int64_t{-1})).ok());
  EXPECT_FALSE(decode<std::int64_t>(encode(std::uint64_t{1} << 63)).ok());
  EXPECT_FALSE((decode<std::array<std::uint8_t, 4>>(encode(Bytes(3))).ok()));
  EXPECT_FALSE(decode<Digest>(encode(Bytes(33))).ok());
}

TEST(CodecTest, HugeHeadersAndDeepNestingCostNothing) {
  EXPECT_FALSE(decode<std::vector<std::uint64_t>>(*from_hex("ddffffffff")).ok());
  EXPECT_FALSE(decode<Bytes>(*from_hex("c6ffffffff")).ok());
  EXPECT_FALSE(decode<std::string>(*from_hex("dbffffffff00")).ok());
  const Bytes deep(100000, 0x91);
  EXPECT_FALSE(decode<std::vector<std::uint64_t>>(deep).ok());
  const Limits narrow{.bytes = 8, .elements = 2, .blob = 4, .depth = 2};
  EXPECT_FALSE(decode<Bytes>(encode(Bytes(16)), narrow).ok());
  EXPECT_FALSE(decode<Bytes>(encode(Bytes(5)), narrow).ok());
  EXPECT_FALSE(
      decode<std::vector<std::uint64_t>>(encode(std::vector<std::uint64_t>(3)), narrow).ok());
}

}  // namespace
}  // namespace fedmesh::codec
