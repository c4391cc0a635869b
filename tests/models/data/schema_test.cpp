#include "models/data/schema.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <functional>

#include "models/data/generators.h"

namespace fedmesh::models {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

Schema small() {
  Schema schema;
  schema.columns = {{"age", 0, ColumnKind::numeric, 0, 100'000'000, {}},
                    {"kind", 1, ColumnKind::categorical, 0, 0, {"a", "b", "c"}},
                    {"bmi", 2, ColumnKind::numeric, 10'000'000, 50'000'000, {}}};
  schema.label_name = "sick";
  schema.label_position = 3;
  return schema;
}

TEST(SchemaTest, CountsOneInputPerNumberAndPerLevelButTheFirst) {
  EXPECT_EQ(small().features(), 4u);
  EXPECT_THAT(small().numeric_features(), ElementsAre(0u, 3u));
  EXPECT_EQ(digits_schema().features(), 784u);
  EXPECT_TRUE(digits_schema().numeric_features().empty());
}

TEST(SchemaTest, HashCoversEveryFieldAndSurvivesTheWire) {
  const Schema schema = small();
  const auto again = codec::decode<Schema>(codec::encode(schema));
  ASSERT_TRUE(again.ok());
  EXPECT_EQ(*again, schema);
  EXPECT_EQ(again->hash(), schema.hash());
  Schema other = schema;
  other.columns[2].maximum_micro += 1;
  EXPECT_NE(other.hash(), schema.hash());
  other = schema;
  other.drop_missing = true;
  EXPECT_NE(other.hash(), schema.hash());
}

TEST(SchemaTest, RefusesWhatNoFileCouldFollow) {
  ASSERT_TRUE(small().validate().ok());
  struct Case {
    std::function<void(Schema&)> spoil;
    std::string says;
  };
  const std::vector<Case> cases{
      {[](Schema& s) { s.classes = 1; }, "classes"},
      {[](Schema& s) { s.columns.clear(); }, "columns"},
      {[](Schema& s) { s.columns[0].minimum_micro = 200'000'000; }, "minimum < maximum"},
      {[](Schema& s) { s.columns[0].maximum_micro = INT64_MAX; }, "2^53"},
      {[](Schema& s) { s.columns[0].levels = {"x"}; }, "no levels"},
      {[](Schema& s) { s.columns[1].levels = {"a"}; }, "levels"},
      {[](Schema& s) {
         s.columns[1].levels = {"1", "1.0"};
       },
       "are the same"},
      {[](Schema& s) {
         s.columns[1].levels = {"yes", "NA"};
       },
       "missing"},
      {[](Schema& s) { s.columns[2].name = "age"; }, "twice"},
      {[](Schema& s) { s.columns[2].name = "sick"; }, "label"},
      {[](Schema& s) { s.header = false, s.columns[2].position = 3; }, "label"},
      {[](Schema& s) { s.label_threshold = 0, s.classes = 3; }, "two classes"},
      {[](Schema& s) { s.width = 28; }, "image"},
      {[](Schema& s) { s.format = DataFormat::images; }, "columns"},
      {[](Schema& s) { s.columns[0].kind = static_cast<ColumnKind>(9); }, "numeric or categorical"},
  };
  for (const Case& c : cases) {
    Schema schema = small();
    c.spoil(schema);
    const auto result = schema.validate();
    ASSERT_FALSE(result.ok()) << c.says;
    EXPECT_THAT(result.error().detail, HasSubstr(c.says));
  }
}

}  // namespace
}  // namespace fedmesh::models
