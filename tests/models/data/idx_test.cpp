#include "models/data/idx.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <zlib.h>

#include "base/random.h"
#include "models/data/generators.h"

namespace fedmesh::models {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

Schema tiny_schema() {
  Schema schema;
  schema.format = DataFormat::images;
  schema.classes = 3;
  schema.height = 1;
  schema.width = 2;
  return schema;
}

Bytes images(std::uint8_t rows = 3) {
  Bytes out{0, 0, 8, 3, 0, 0, 0, rows, 0, 0, 0, 1, 0, 0, 0, 2};
  for (std::uint8_t i = 0; i < 2 * rows; ++i) out.push_back(static_cast<std::uint8_t>(51 * i));
  return out;
}

Bytes labels(std::uint8_t rows = 3) {
  Bytes out{0, 0, 8, 1, 0, 0, 0, rows};
  for (std::uint8_t i = 0; i < rows; ++i) out.push_back(i % 3);
  return out;
}

Bytes gzip(ByteView plain) {
  z_stream stream{};
  EXPECT_EQ(deflateInit2(&stream, 9, Z_DEFLATED, 16 + MAX_WBITS, 8, Z_DEFAULT_STRATEGY), Z_OK);
  Bytes out(deflateBound(&stream, plain.size()) + 64);
  stream.next_in = const_cast<Bytef*>(plain.data());
  stream.avail_in = static_cast<uInt>(plain.size());
  stream.next_out = out.data();
  stream.avail_out = static_cast<uInt>(out.size());
  EXPECT_EQ(deflate(&stream, Z_FINISH), Z_STREAM_END);
  out.resize(stream.total_out);
  deflateEnd(&stream);
  return out;
}

std::string error_of(ByteView pixels, ByteView classes, std::optional<RowRange> range = {},
                     const Schema& schema = tiny_schema()) {
  const auto data = parse_idx(pixels, classes, schema, range);
  return data.ok() ? "read without error" : data.error().to_string();
}

TEST(IdxTest, ReadsPlainAndGzipToTheSameData) {
  const auto plain = parse_idx(images(), labels(), tiny_schema());
  ASSERT_TRUE(plain.ok()) << plain.error().to_string();
  EXPECT_THAT(plain->inputs,
              ElementsAre(0, 51 / 255.0f, 102 / 255.0f, 153 / 255.0f, 204 / 255.0f, 1));
  EXPECT_THAT(plain->labels, ElementsAre(0, 1, 2));
  EXPECT_THAT(plain->shape, ElementsAre(1, 1, 2));
  const auto packed = parse_idx(gzip(images()), gzip(labels()), tiny_schema());
  ASSERT_TRUE(packed.ok()) << packed.error().to_string();
  EXPECT_EQ(*packed, *plain);
}

TEST(IdxTest, TakesARangeOfRows) {
  const auto data = parse_idx(images(), labels(), tiny_schema(), RowRange{1, 2});
  ASSERT_TRUE(data.ok());
  EXPECT_THAT(data->labels, ElementsAre(1, 2));
  EXPECT_FLOAT_EQ(data->inputs[0], 102 / 255.0f);
  EXPECT_THAT(error_of(images(), labels(), RowRange{1, 3}), HasSubstr("it has 0-2"));
  EXPECT_THAT(error_of(images(), labels(), RowRange{2, 1}), HasSubstr("it has 0-2"));
}

TEST(IdxTest, RefusesWhatDoesNotFit) {
  Bytes longer = images();
  longer.push_back(0);
  EXPECT_THAT(error_of(longer, labels()), HasSubstr("images: 23 bytes, the header says 22"));
  EXPECT_THAT(error_of(ByteView(images()).first(21), labels()), HasSubstr("21 bytes"));
  EXPECT_THAT(error_of(ByteView(images()).first(3), labels()), HasSubstr("shorter"));
  EXPECT_THAT(error_of(images(), labels(2)), HasSubstr("images has 3 rows, labels has 2"));
  EXPECT_THAT(error_of(labels(), labels()), HasSubstr("the schema needs 1 x 2"));
  EXPECT_THAT(error_of(images(), images()), HasSubstr("labels: rows are 1 x 2"));
  EXPECT_THAT(error_of(images(0), labels(0)), HasSubstr("no rows"));
  Bytes floats = images();
  floats[2] = 0x0d;
  EXPECT_THAT(error_of(floats, labels()), HasSubstr("unsigned bytes"));
  Bytes bad = labels();
  bad.back() = 3;
  EXPECT_THAT(error_of(images(), bad), HasSubstr("label 3 of row 2 is not below 3"));
  EXPECT_THAT(error_of(images(), labels(), {}, clinics_schema()), HasSubstr("schema is for csv"));
}

TEST(IdxTest, DecompressionStopsAtTheHeadersSize) {
  Bytes bomb = images();
  bomb.resize(50u << 20);
  EXPECT_THAT(error_of(gzip(bomb), labels()), HasSubstr("longer than its header says"));
  Bytes huge{0, 0, 8, 3, 255, 255, 255, 255, 0, 0, 0, 1, 0, 0, 0, 2};
  EXPECT_THAT(error_of(gzip(huge), labels()), HasSubstr("exhausted"));
  EXPECT_THAT(error_of(huge, labels()), HasSubstr("exhausted"));
  Bytes tail = gzip(images());
  tail.push_back(0);
  EXPECT_THAT(error_of(tail, labels()), HasSubstr("followed by other bytes"));
}

TEST(IdxTest, DamagedFilesGiveAnErrorOrValidData) {
  const std::vector<Bytes> files{images(), gzip(images())};
  SeededRandom random(11);
  for (const Bytes& file : files) {
    for (std::size_t size = 0; size < file.size(); ++size)
      EXPECT_FALSE(parse_idx(ByteView(file).first(size), labels(), tiny_schema()).ok()) << size;
    for (int trial = 0; trial < 2000; ++trial) {
      Bytes damaged = file;
      damaged[random.below(damaged.size())] ^= static_cast<std::uint8_t>(1u << random.below(8));
      const auto data = parse_idx(damaged, labels(), tiny_schema());
      if (!data.ok()) continue;
      ASSERT_EQ(data->inputs.size(), 6u);
    }
  }
}

}  // namespace
}  // namespace fedmesh::models
