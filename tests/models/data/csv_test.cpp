#include "models/data/csv.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/random.h"
#include "models/data/generators.h"

namespace fedmesh::models {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

// age (0 to 100), ward (one of three), label "sick".
Schema ward_schema() {
  Schema schema;
  schema.columns = {{"age", 0, ColumnKind::numeric, 0, 100'000'000, {}},
                    {"ward", 1, ColumnKind::categorical, 0, 0, {"1", "2", "east wing"}}};
  schema.label_name = "sick";
  schema.label_position = 2;
  return schema;
}

Dataset must_read(std::string_view text, const Schema& schema = ward_schema()) {
  auto data = parse_csv(text, "w.csv", schema);
  EXPECT_TRUE(data.ok()) << data.error().to_string();
  return data.ok() ? *data : Dataset{};
}

std::string error_of(std::string_view text, const Schema& schema = ward_schema()) {
  const auto data = parse_csv(text, "w.csv", schema);
  return data.ok() ? "read without error" : data.error().to_string();
}

TEST(CsvTest, ReadsNumbersAsTheyAreAndCategoriesAsIndicators) {
  const Dataset data = must_read("age,ward,sick\n41.5,1,0\n7,2,1\n60,east wing,1\n");
  EXPECT_THAT(data.inputs, ElementsAre(41.5f, 0, 0, 7, 1, 0, 60, 0, 1));
  EXPECT_THAT(data.labels, ElementsAre(0, 1, 1));
  EXPECT_EQ(data.features, 3u);
  EXPECT_THAT(data.shape, ElementsAre(3));
  EXPECT_EQ(data.classes, 2u);
}

TEST(CsvTest, SameRowsInOtherDialectsGiveTheSameData) {
  const Dataset plain = must_read("age,ward,sick\n41.5,1,0\n7,2,1\n");
  EXPECT_EQ(must_read("age,ward,sick\r\n41.5,1,0\r\n7,2,1"), plain);
  EXPECT_EQ(must_read("\xEF\xBB\xBF\"age\",\"ward\",\"sick\"\r\n\"41.5\",\"1\",\"0\"\r\n7,2,1\r\n"),
            plain);
  EXPECT_EQ(must_read("note,sick, ward ,age\n\"a \"\"b\"\",\nc\",0,1.0,+41.50\n,1.0, 2 ,7e0\n"),
            plain);
  EXPECT_EQ(must_read("\nage,ward,sick\n\n41.5,1,0\n\n7,02,1\n\n"), plain);
}

TEST(CsvTest, TakesColumnsByPositionWithoutHeader) {
  Schema schema = ward_schema();
  schema.header = false;
  schema.label_threshold = 0;
  const Dataset data = must_read("5,1,3,ignored\n6,2,0,ignored\n", schema);
  EXPECT_THAT(data.inputs, ElementsAre(5, 0, 0, 6, 1, 0));
  EXPECT_THAT(data.labels, ElementsAre(1, 0));
}

TEST(CsvTest, ClampsToPublicBounds) {
  EXPECT_THAT(must_read("age,ward,sick\n-3,1,0\n1e30,1,0\n").inputs,
              ElementsAre(0, 0, 0, 100, 0, 0));
}

TEST(CsvTest, ImputesTheMiddleAndTheReferenceLevel) {
  for (const char* missing : {"", "?", "NA", "nan", " NaN "}) {
    const std::string text = "age,ward,sick\n" + std::string(missing) + "," + missing + ",1\n";
    EXPECT_THAT(must_read(text).inputs, ElementsAre(50, 0, 0)) << missing;
  }
}

TEST(CsvTest, DropsRowsWithMissingValuesIfTheSchemaSaysSo) {
  Schema schema = ward_schema();
  schema.drop_missing = true;
  const Dataset data = must_read("age,ward,sick\n?,1,0\n7,NA,1\n8,1,\n9,2,1\n", schema);
  EXPECT_THAT(data.inputs, ElementsAre(9, 1, 0));
  EXPECT_THAT(error_of("age,ward,sick\n?,1,0\n", schema), HasSubstr("all 1 have a missing value"));
}

TEST(CsvTest, EveryErrorNamesFileLineAndColumn) {
  struct Case {
    std::string text;
    std::string says;
  };
  const std::vector<Case> cases{
      {"age,ward,sick\n1,1,0\nold,1,0\n", "w.csv:3: column 'age' (field 1): not a finite"},
      {"age,ward,sick\ninf,1,0\n", "not a finite number"},
      {"age,ward,sick\n1e999,1,0\n", "not a finite number"},
      {"age,ward,sick\n0x10,1,0\n", "not a finite number"},
      {"age,ward,sick\n1,3,0\n",
       "w.csv:2: column 'ward' (field 2): an unknown level; allowed are '1', '2', 'east wing'"},
      {"age,ward,sick\n1,1,2\n", "w.csv:2: column 'sick' (field 3): the label is not a whole"},
      {"age,ward,sick\n1,1,0.5\n", "whole number from 0 to 1"},
      {"age,ward,sick\n1,1,-1\n", "whole number from 0 to 1"},
      {"age,ward,sick\n1,1,\n", "label is missing"},
      {"age,ward,sick\n1,1\n", "w.csv:2: 2 fields, the first line has 3"},
      {"age,sick\n1,1\n", "w.csv:1: the header has no column 'ward'; it has 'age', 'sick'"},
      {"age,ward,age,sick\n1,1,1,1\n", "column 'age' twice"},
      {"age,ward,sick\n", "no rows left after the header"},
      {"", "w.csv: the file is empty"},
      {"age,ward,sick\n1,\"1,0\n", "w.csv:2: a quoted field is not closed"},
      {"age,ward,sick\n1,\"1\"x,0\n", "w.csv:2: text after a closing quote"},
      {"age,ward,sick\n1,1\",0\n", "a quote inside a field"},
      {"age,ward,sick\n\"\n\n1\",1,0\n\x01\x02,1,0\n",
       "w.csv:5: column 'age' (field 1): not a finite"},
  };
  for (const Case& c : cases) EXPECT_THAT(error_of(c.text), HasSubstr(c.says)) << c.text;
  Schema schema = ward_schema();
  schema.header = false;
  EXPECT_THAT(error_of("1,1\n", schema), HasSubstr("the schema needs field 3 ('sick')"));
}

TEST(CsvTest, KeepsItsLimits) {
  const std::string text = "age,ward,sick\n1,1,0\n2,1,0\n3,1,0\n";
  const auto code = [&](CsvLimits limits) {
    const auto data = parse_csv(text, "w.csv", ward_schema(), limits);
    return data.ok() ? "ok" : to_string(data.error().code);
  };
  EXPECT_STREQ(code({}), "ok");
  EXPECT_STREQ(code({.file_bytes = 10}), "exhausted");
  EXPECT_STREQ(code({.record_bytes = 8}), "exhausted");
  EXPECT_STREQ(code({.rows = 2}), "exhausted");
  EXPECT_STREQ(code({.fields = 2}), "exhausted");
  EXPECT_STREQ(code({.values = 8}), "exhausted");
}

TEST(CsvTest, ReadsFilesOnly) {
  const auto absent = read_csv("no/such/file.csv", ward_schema());
  ASSERT_FALSE(absent.ok());
  EXPECT_EQ(absent.error().code, ErrorCode::not_found);
  EXPECT_THAT(absent.error().detail, HasSubstr("no/such/file.csv"));
  EXPECT_FALSE(read_csv("/", ward_schema()).ok());
  EXPECT_FALSE(parse_csv("age\n", "w.csv", digits_schema()).ok());
}

TEST(CsvTest, DamagedTextGivesAnErrorOrValidData) {
  const std::string csv = clinics_csv(1, 0, 5);
  const std::string text = csv.substr(0, csv.find('\n', 3000) + 1);
  SeededRandom random(7);
  int read = 0;
  for (int trial = 0; trial < 2000; ++trial) {
    std::string damaged = text.substr(0, trial % 2 == 0 ? random.below(text.size()) : text.size());
    for (std::uint64_t flips = random.below(3); flips > 0 && !damaged.empty(); --flips)
      damaged[random.below(damaged.size())] = static_cast<char>(random.below(256));
    const auto data = parse_csv(damaged, "damaged", clinics_schema());
    if (!data.ok()) continue;
    ++read;
    ASSERT_EQ(data->inputs.size(), data->rows() * data->features);
    for (const std::int32_t label : data->labels) ASSERT_TRUE(label == 0 || label == 1);
  }
  EXPECT_GT(read, 0);
}

}  // namespace
}  // namespace fedmesh::models
