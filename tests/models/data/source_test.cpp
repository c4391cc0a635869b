#include "models/data/source.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <array>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <set>

#include "base/random.h"
#include "models/data/generators.h"
#include "tests/base/temporary_folder.h"

namespace fedmesh::models {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using Kind = DataSource::Kind;

DataSource must_parse(std::string_view uri) {
  auto source = DataSource::parse(uri);
  EXPECT_TRUE(source.ok()) << source.error().to_string();
  return source.ok() ? *source : DataSource{};
}

std::string error_of(std::string_view uri) {
  const auto source = DataSource::parse(uri);
  return source.ok() ? "parsed without error" : source.error().to_string();
}

Dataset must_load(std::string_view uri, const Schema& schema) {
  auto data = load(must_parse(uri), schema);
  EXPECT_TRUE(data.ok()) << data.error().to_string();
  return data.ok() ? *data : Dataset{};
}

class TemporaryFile {
 public:
  TemporaryFile(const std::string& name, const std::string& text) : path_(folder_.path() / name) {
    std::ofstream(path_, std::ios::binary) << text;
  }
  std::string path() const { return path_.string(); }

 private:
  TemporaryFolder folder_;
  std::filesystem::path path_;
};

TEST(SourceTest, ReadsEveryForm) {
  const DataSource csv = must_parse("dir/a b.csv");
  EXPECT_EQ(csv.kind, Kind::csv);
  EXPECT_THAT(csv.paths, ElementsAre("dir/a b.csv"));
  const DataSource idx = must_parse("i.gz,l.gz#0-7999?split=test:0.25:9");
  EXPECT_EQ(idx.kind, Kind::idx);
  EXPECT_THAT(idx.paths, ElementsAre("i.gz", "l.gz"));
  EXPECT_EQ(idx.range, (RowRange{0, 7999}));
  EXPECT_EQ(idx.split, (Split{250'000, 9, Split::Which::test}));
  EXPECT_EQ(must_parse("clinics:silo=0,silos=5,seed=7").parameters.at("seed"), 7u);
  EXPECT_EQ(must_parse("clinics-validation:rows=20").kind, Kind::clinics_validation);
  EXPECT_EQ(must_parse("digits:rows=100,seed=3").parameters.at("parts"), 1u);
  EXPECT_EQ(must_parse("./digits:rows=1").kind, Kind::csv);
}

TEST(SourceTest, ReadsPartitions) {
  using Rule = PartitionRule::Kind;
  EXPECT_EQ(must_parse("a.csv").partition, std::nullopt);
  EXPECT_EQ(must_parse("a.csv?partition=iid:8:3:7").partition,
            (SiloChoice{{.kind = Rule::iid, .silos = 8, .seed = 7}, 3}));
  EXPECT_EQ(must_parse("i,l#0-7999?partition=dirichlet:0.25:8:0:7").partition,
            (SiloChoice{{.kind = Rule::dirichlet, .silos = 8, .seed = 7, .alpha = 0.25}, 0}));
  EXPECT_EQ(must_parse("digits:rows=9?partition=shards:2:4:3:0").partition,
            (SiloChoice{{.kind = Rule::shards, .silos = 4, .shards_per_silo = 2}, 3}));
  const DataSource both = must_parse("a.csv#2-9?partition=iid:2:1:5&split=train:0.5:1");
  EXPECT_EQ(both.range, (RowRange{2, 9}));
  EXPECT_EQ(both.split, (Split{500'000, 1, Split::Which::train}));
  EXPECT_EQ(both.partition->rule.silos, 2u);
}

TEST(SourceTest, ErrorsListWhatIsAllowed) {
  struct Case {
    std::string uri;
    std::string says;
  };
  const std::vector<Case> cases{
      {"", "empty"},
      {"clinics:silos=5", "silo is missing; allowed keys are silo, silos, seed (optional)"},
      {"clinics:silo=5,silos=5", "silo counts from 0"},
      {"clinics:silo=0,silos=5,sede=1", "unknown key 'sede'; allowed keys are"},
      {"clinics:silo=0,silo=0,silos=5", "given twice"},
      {"clinics:silo=-1,silos=5", "silo must be a whole number from 0 to"},
      {"clinics:", "write key=value"},
      {"clinics:silo=0,silos=99999999", "silos must be a whole number from 1 to 10000"},
      {"digits:rows=0", "rows must be a whole number from 1"},
      {"digits:rows=10,part=8,parts=8", "part counts from 0"},
      {"digits:rows=4,part=0,parts=8", "shared out among parts"},
      {"digit:rows=4", "known are clinics, clinics-validation, digits"},
      {"a.csv?spilt=train:0.5:1", "allowed are ?split="},
      {"a.csv?split=dev:0.5:1", "?split=test:0.66:SEED"},
      {"a.csv?split=train:1.5:1", "between 0 and 1"},
      {"a.csv?split=train:nan:1", "between 0 and 1"},
      {"a.csv?split=train:0.5:x", "whole seed"},
      {"a.csv?", "unknown option ''; allowed are ?split="},
      {"a.csv?split=train:0.5:1&", "unknown option ''"},
      {"a.csv?split=train:0.5:1&split=test:0.5:1", "split is given twice"},
      {"a.csv?partition=iid:2:0:1&partition=iid:2:1:1", "partition is given twice"},
      {"a.csv?partition=", "write ?partition=iid:SILOS:SILO:SEED"},
      {"a.csv?partition=iid:2:2:1", "a silo counts from 0"},
      {"a.csv?partition=iid:0:0:1", "silos are 1 to 1000000"},
      {"a.csv?partition=iid:99999999999:0:1", "silos are 1 to 1000000"},
      {"a.csv?partition=iid:2:-1:1", "a silo counts from 0"},
      {"a.csv?partition=iid:2:1:x", "write ?partition="},
      {"a.csv?partition=iid:0.5:2:1:1", "write ?partition="},
      {"a.csv?partition=dirichlet:2:1:1", "write ?partition="},
      {"a.csv?partition=dirichlet:nan:2:1:1", "alpha 0.001 to 1000"},
      {"a.csv?partition=dirichlet:0:2:1:1", "alpha 0.001 to 1000"},
      {"a.csv?partition=dirichlet:1e9:2:1:1", "alpha 0.001 to 1000"},
      {"a.csv?partition=shards:0:2:1:1", "shards:PER_SILO"},
      {"a.csv?partition=shards:9999999999:2:1:1", "shards:PER_SILO"},
      {"a,b#7-3", "write #first-last"},
      {"a,b#", "write #first-last"},
      {"a,b,c", "images,labels"},
      {"a,", "path is empty"},
  };
  for (const Case& c : cases) EXPECT_THAT(error_of(c.uri), HasSubstr(c.says)) << c.uri;
}

TEST(SourceTest, LoadsGenerators) {
  EXPECT_EQ(must_load("clinics:silo=1,silos=5,seed=3", clinics_schema()), clinics_silo(3, 1, 5));
  EXPECT_EQ(must_load("clinics-validation:rows=50,seed=3", clinics_schema()),
            clinics_validation(3, 50));
  EXPECT_EQ(must_load("digits:rows=20,seed=3", digits_schema()), digits(3, 20));
  Dataset parts = must_load("digits:rows=20,seed=3,part=0,parts=3", digits_schema());
  for (const char* uri :
       {"digits:rows=20,seed=3,part=1,parts=3", "digits:rows=20,seed=3,part=2,parts=3"}) {
    const Dataset more = must_load(uri, digits_schema());
    parts.inputs.insert(parts.inputs.end(), more.inputs.begin(), more.inputs.end());
    parts.labels.insert(parts.labels.end(), more.labels.begin(), more.labels.end());
  }
  EXPECT_EQ(parts, digits(3, 20));
}

TEST(SourceTest, LoadsFilesWithRangeAndSplit) {
  const TemporaryFile file("source_test.csv", clinics_csv(1, 0, 5));
  const Dataset all = clinics_silo(1, 0, 5);
  EXPECT_EQ(must_load(file.path(), clinics_schema()), all);
  EXPECT_EQ(must_load(file.path() + "#2-3", clinics_schema()),
            all.subset(std::vector<std::size_t>{2, 3}));
  const Dataset train = must_load(file.path() + "?split=train:0.66:5", clinics_schema());
  const Dataset test = must_load(file.path() + "?split=test:0.66:5", clinics_schema());
  EXPECT_EQ(train.rows() + test.rows(), all.rows());
  EXPECT_NEAR(static_cast<double>(train.rows()) / static_cast<double>(all.rows()), 0.66, 0.08);
  const auto beyond = load(must_parse(file.path() + "#0-99999"), clinics_schema());
  ASSERT_FALSE(beyond.ok());
  EXPECT_THAT(beyond.error().detail, HasSubstr("it has rows 0-"));
}

TEST(SourceTest, ThePartsOfAPartitionAreTheSplitOfTheRange) {
  const TemporaryFile file("partition_test.csv", clinics_csv(1, 0, 5));
  const std::string base = file.path() + "#10-209?split=train:0.66:5";
  const Dataset train = must_load(base, clinics_schema());
  for (const std::string rule : {"iid", "dirichlet:0.5", "shards:2"}) {
    std::multiset<std::vector<float>> expected, seen;
    for (std::size_t i = 0; i < train.rows(); ++i)
      expected.emplace(train.row(i).begin(), train.row(i).end());
    for (const char* silo : {"0", "1", "2"}) {
      const Dataset part =
          must_load(base + "&partition=" + rule + ":3:" + silo + ":9", clinics_schema());
      EXPECT_GT(part.rows(), 0u);
      for (std::size_t i = 0; i < part.rows(); ++i)
        seen.emplace(part.row(i).begin(), part.row(i).end());
    }
    EXPECT_EQ(seen, expected) << rule;
  }
  const auto few = load(must_parse(file.path() + "#0-1?partition=iid:3:0:1"), clinics_schema());
  ASSERT_FALSE(few.ok());
  EXPECT_THAT(few.error().detail, HasSubstr("2 rows cannot fill 3 silos"));
}

TEST(SourceTest, SaysWhyDataDoesNotFitTheSchema) {
  const auto reason = [](std::string_view uri, const Schema& schema) {
    const auto data = load(must_parse(uri), schema);
    return data.ok() ? "loaded without error" : data.error().to_string();
  };
  EXPECT_THAT(reason("digits:rows=5", clinics_schema()), HasSubstr("1 x 28 x 28"));
  EXPECT_THAT(reason("clinics:silo=0,silos=5", digits_schema()), HasSubstr("for images"));
  EXPECT_THAT(reason("a,b", clinics_schema()), HasSubstr("a: No such file"));
  EXPECT_THAT(reason("no.csv", clinics_schema()), HasSubstr("not found: no.csv"));
  EXPECT_THAT(reason("no.csv", Schema{}), HasSubstr("columns"));
  EXPECT_THAT(reason("digits:rows=1?split=train:0.000001:1", digits_schema()),
              HasSubstr("leaves none of 1 rows"));
}

TEST(SplitTest, KeepsEveryRowOnceAndRowsInPlaceWhenOthersAreAppended) {
  const Dataset data = digits(1, 40);
  const Dataset longer = digits(1, 60);
  const auto train = split(data, {500'000, 3, Split::Which::train});
  const auto test = split(data, {500'000, 3, Split::Which::test});
  const auto more = split(longer, {500'000, 3, Split::Which::train});
  ASSERT_TRUE(train.ok() && test.ok() && more.ok());
  EXPECT_EQ(train->rows() + test->rows(), 40u);
  EXPECT_TRUE(std::equal(train->labels.begin(), train->labels.end(), more->labels.begin()));
  const auto other = split(data, {500'000, 4, Split::Which::train});
  ASSERT_TRUE(other.ok());
  EXPECT_NE(*other, *train);
  EXPECT_EQ(*split(data, Split{}), data);
  EXPECT_FALSE(split(data, {1'000'001, 3, Split::Which::train}).ok());
}

TEST(SourceTest, RandomTextNeverCrashesTheParser) {
  static constexpr std::string_view kAlphabet = "clinsdgt-vaohr:=,#?&0123456789./\x00\xff";
  static constexpr std::array<std::string_view, 4> kStarts{
      "clinics:silo=", "a?split=train:", "a?partition=iid:", "a?partition=dirichlet:0.5:2:"};
  SeededRandom random(3);
  for (int trial = 0; trial < 20000; ++trial) {
    std::string uri(trial % 5 == 4 ? "" : kStarts[static_cast<std::size_t>(trial % 5)]);
    for (std::uint64_t i = random.below(20); i > 0; --i)
      uri += kAlphabet[random.below(kAlphabet.size())];
    const auto source = DataSource::parse(uri);
    if (!source.ok()) continue;
    if (source->partition) {
      ASSERT_LT(source->partition->silo, source->partition->rule.silos);
    }
    if (source->kind != Kind::clinics) continue;
    ASSERT_LT(source->parameters.at("silo"), source->parameters.at("silos"));
  }
}

}  // namespace
}  // namespace fedmesh::models
