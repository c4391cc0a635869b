// The published files of UCI Heart Disease and MNIST, where they lie beside the repository.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <array>
#include <filesystem>
#include <numeric>

#include "models/data/source.h"

namespace fedmesh::models {
namespace {

using ::testing::ElementsAre;

const std::filesystem::path kData = "../shared/data";

Column numeric(std::uint32_t position, std::int64_t low, std::int64_t high) {
  return {"", position, ColumnKind::numeric, low * 1'000'000, high * 1'000'000, {}};
}

Column categorical(std::uint32_t position, std::vector<std::string> levels) {
  return {"", position, ColumnKind::categorical, 0, 0, std::move(levels)};
}

// As FLamby (Ogier du Terrail et al. 2022) prepares it: the first ten columns, rows with a missing
// value among them dropped, chest pain and resting ECG one-hot without their first level.
Schema heart_schema() {
  Schema schema;
  schema.header = false;
  schema.drop_missing = true;
  schema.columns = {numeric(0, 20, 90),
                    categorical(1, {"0", "1"}),
                    categorical(2, {"1", "2", "3", "4"}),
                    numeric(3, 0, 220),
                    numeric(4, 0, 650),
                    categorical(5, {"0", "1"}),
                    categorical(6, {"0", "1", "2"}),
                    numeric(7, 50, 220),
                    categorical(8, {"0", "1"}),
                    numeric(9, -5, 10)};
  schema.label_position = 13;
  schema.label_threshold = 0;
  return schema;
}

TEST(RealDataTest, HeartDiseaseHasFlambysRows) {
  const auto folder = kData / "heart-disease";
  if (!std::filesystem::exists(folder)) GTEST_SKIP() << folder << " is not here";
  ASSERT_EQ(heart_schema().features(), 13u);
  struct Hospital {
    const char* name;
    std::size_t rows;
  };
  for (const Hospital& hospital : {Hospital{"cleveland", 303}, Hospital{"hungarian", 261},
                                   Hospital{"switzerland", 46}, Hospital{"va", 130}}) {
    const auto path = folder / ("processed." + std::string(hospital.name) + ".data");
    const auto source = DataSource::parse(path.string());
    ASSERT_TRUE(source.ok());
    const auto data = load(*source, heart_schema());
    ASSERT_TRUE(data.ok()) << data.error().to_string();
    EXPECT_EQ(data->rows(), hospital.rows) << hospital.name;
  }
  const auto cleveland =
      load(*DataSource::parse((folder / "processed.cleveland.data").string()), heart_schema());
  const auto first = cleveland->row(0);
  EXPECT_THAT(std::vector<float>(first.begin(), first.end()),
              ElementsAre(63, 1, 0, 0, 0, 145, 233, 1, 0, 1, 150, 0, 2.3f));
  EXPECT_EQ(std::accumulate(cleveland->labels.begin(), cleveland->labels.end(), 0), 139);
}

TEST(RealDataTest, MnistReadsAsPublished) {
  const auto folder = kData / "mnist";
  if (!std::filesystem::exists(folder)) GTEST_SKIP() << folder << " is not here";
  Schema schema;
  schema.format = DataFormat::images;
  schema.classes = 10;
  schema.height = 28;
  schema.width = 28;
  const std::string pair = (folder / "t10k-images-idx3-ubyte.gz").string() + "," +
                           (folder / "t10k-labels-idx1-ubyte.gz").string();
  const auto all = load(*DataSource::parse(pair), schema);
  ASSERT_TRUE(all.ok()) << all.error().to_string();
  std::array<int, 10> counts{};
  for (const std::int32_t label : all->labels) ++counts[static_cast<std::size_t>(label)];
  EXPECT_THAT(counts, ElementsAre(980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009));
  const double mean = std::accumulate(all->inputs.begin(), all->inputs.end(), 0.0) /
                      static_cast<double>(all->inputs.size());
  EXPECT_NEAR(mean, 0.1325, 0.0001);
  const auto test = load(*DataSource::parse(pair + "#8000-9999"), schema);
  ASSERT_TRUE(test.ok());
  EXPECT_EQ(test->rows(), 2000u);
  EXPECT_EQ(test->labels.front(), all->labels[8000]);
}

}  // namespace
}  // namespace fedmesh::models
