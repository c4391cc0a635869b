#include "coordinator/protocol/job_file.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <set>
#include <sstream>

#include "base/crypto/blob_hash.h"
#include "coordinator/protocol/job_file_keys.h"
#include "models/data/dataset_blob.h"
#include "models/data/generators.h"
#include "models/data/source.h"
#include "sample_files.h"

namespace fedmesh::protocol {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

std::string read_file(const std::filesystem::path& path) {
  std::ifstream in(path, std::ios::binary);
  std::ostringstream out;
  out << in.rdbuf();
  return out.str();
}

JobFile parsed(const std::string& text, const std::string& name = "job.toml") {
  auto file = parse_job_file(text, name);
  EXPECT_TRUE(file.ok()) << file.error().to_string();
  return file.ok() ? *file : JobFile{};
}

TEST(JobFileTest, ReadsTheClinicsJob) {
  const JobFile file = parsed(kClinicsFile);
  const JobSpec& spec = file.spec;
  EXPECT_EQ(spec.name, "clinics");
  EXPECT_EQ(spec.schema, models::clinics_schema());
  EXPECT_EQ(spec.architecture.kind, models::ArchitectureKind::logistic);
  EXPECT_THAT(spec.architecture.input_shape, ElementsAre(11));
  EXPECT_EQ(spec.training.options.learning_rate_nano, 500'000'000);
  EXPECT_TRUE(spec.training.average_iterates);
  EXPECT_EQ(spec.privacy.unit, PrivacyUnit::record);
  EXPECT_EQ(spec.privacy.mechanism, Mechanism::laplace);
  EXPECT_EQ(spec.privacy.fraction_bits, 14u);
  EXPECT_EQ(spec.privacy.clip_granules, 1 << 14);
  EXPECT_EQ(spec.privacy.epsilon_per_round_nano, 90'000'000);
  EXPECT_EQ(spec.privacy.total.epsilon_nano, 1'000'000'000);
  EXPECT_EQ(spec.preprocessing.standardise, Standardise::private_query);
  EXPECT_EQ(spec.preprocessing.epsilon_nano, 100'000'000);
  EXPECT_EQ(spec.federation.commit_ms, 60'000);
  EXPECT_EQ(spec.federation.evaluation_ms, 20'000);
  EXPECT_EQ(spec.aggregation.aggregators, 4u);
  EXPECT_TRUE(spec.evaluation.enabled);
  EXPECT_EQ(file.evaluation_path, "clinics-validation:rows=50,seed=9");
}

TEST(JobFileTest, LoadsAndNamesTheValidationSet) {
  JobFile file = parsed(kClinicsFile);
  EXPECT_FALSE(file.spec.validate().ok());
  const auto blob = load_evaluation(file);
  ASSERT_TRUE(blob.ok()) << blob.error().to_string();
  EXPECT_EQ(*blob, models::encode_dataset(models::clinics_validation(9, 50)));
  EXPECT_EQ(file.spec.evaluation.blob_root, crypto::blob_root(*blob));
  EXPECT_EQ(file.spec.evaluation.blob_bytes, blob->size());
  EXPECT_TRUE(file.spec.validate().ok());
}

TEST(JobFileTest, AJobWithoutEvaluationHasNoBlob) {
  JobFile file = parsed(kImagesFile);
  const auto blob = load_evaluation(file);
  ASSERT_TRUE(blob.ok());
  EXPECT_TRUE(blob->empty());
  EXPECT_EQ(file.spec.federation.evaluation_ms, 0);
}

TEST(JobFileTest, ReadsImagesAndHiddenLayers) {
  const JobSpec spec = parsed(kImagesFile).spec;
  EXPECT_EQ(spec.schema.format, models::DataFormat::images);
  EXPECT_THAT(spec.architecture.input_shape, ElementsAre(1, 8, 8));
  EXPECT_THAT(spec.architecture.hidden, ElementsAre(32u, 16u));
  EXPECT_EQ(spec.architecture.classes, 3u);
  EXPECT_EQ(spec.training.options.optimizer, models::Optimizer::adam);
  EXPECT_EQ(spec.privacy.fraction_bits, 20u);
  EXPECT_EQ(spec.privacy.clip_granules, 0);
}

TEST(JobFileTest, ReadsColumns) {
  const JobSpec spec = parsed(kTableFile).spec;
  EXPECT_EQ(spec.schema.label_name, "sick");
  ASSERT_EQ(spec.schema.columns.size(), 2u);
  EXPECT_EQ(spec.schema.columns[0].name, "age");
  EXPECT_EQ(spec.schema.columns[0].maximum_micro, 120'500'000);
  EXPECT_THAT(spec.schema.columns[1].levels, ElementsAre("no", "yes", "2", "2.5"));
  EXPECT_THAT(spec.architecture.input_shape, ElementsAre(4));
}

TEST(JobFileTest, ClipIsRoundedDownToWholeGranules) {
  std::string text = kClinicsFile;
  text.replace(text.find("clip_l1 = 1.0"), 13, "clip_l1 = 0.3");
  EXPECT_EQ(parsed(text).spec.privacy.clip_granules, 4915);  // 0.3 * 2^14 = 4915.2
}

TEST(JobFileTest, DurationsHaveUnits) {
  for (const auto& [written, ms] :
       std::vector<std::pair<std::string, std::int64_t>>{{"100ms", 100},
                                                         {"60s", 60'000},
                                                         {"2m", 120'000},
                                                         {"1h", 3'600'000},
                                                         {"7d", 604'800'000}}) {
    std::string text = kImagesFile;
    text.replace(text.find("rounds = 2"), 10, "rounds = 2\ncommit_deadline = \"" + written + "\"");
    EXPECT_EQ(parsed(text).spec.federation.commit_ms, ms);
  }
}

TEST(JobFileTest, WeightByExamplesWithACap) {
  std::string text = kImagesFile + "[aggregation]\nrule = \"fedavg\"\nweight = \"examples\"\n";
  const JobSpec spec = parsed(text + "weight_cap = 1000\n").spec;
  EXPECT_EQ(spec.aggregation.rule, "mean");
  EXPECT_EQ(spec.aggregation.weight, WeightMode::examples);
  EXPECT_EQ(spec.aggregation.weight_cap, 1000u);
}

TEST(JobFileTest, EqualFilesMakeEqualJobsWhateverTheirOrder) {
  std::string reordered = kImagesFile;
  const std::size_t privacy = reordered.find("[privacy]");
  const std::string tail = reordered.substr(privacy);
  reordered.erase(privacy);
  reordered.insert(reordered.find("[model]"), "# a comment\n" + tail);
  EXPECT_EQ(parsed(reordered).spec.config_hash(), parsed(kImagesFile).spec.config_hash());
}

TEST(JobFileTest, PathsOfDataAreRelativeToTheFile) {
  const std::string base = kImagesFile + "[evaluation]\ndata = \"public\"\nblob = ";
  const auto path = [&](const std::string& blob, const std::string& name) {
    return parsed(base + "\"" + blob + "\"\n", name).evaluation_path.value_or("");
  };
  EXPECT_EQ(path("v.csv", "jobs/a.toml"), "jobs/v.csv");
  EXPECT_EQ(path("v.csv", "a.toml"), "v.csv");
  EXPECT_EQ(path("/data/v.csv", "jobs/a.toml"), "/data/v.csv");
  EXPECT_EQ(path("x.gz,y.gz#0-9", "jobs/a.toml"), "jobs/x.gz,jobs/y.gz#0-9");
  EXPECT_EQ(path("/x.gz,y.gz", "jobs/a.toml"), "/x.gz,jobs/y.gz");
  EXPECT_EQ(path("digits:rows=9", "jobs/a.toml"), "digits:rows=9");
}

TEST(JobFileTest, TheTableOfKeysIsComplete) {
  std::set<std::string> paths;
  for (const Key& key : job_file_keys()) {
    EXPECT_TRUE(paths.insert(key.path).second) << key.path << " is twice in the table";
    EXPECT_FALSE(key.meaning.empty()) << key.path;
    EXPECT_NE(key.store, nullptr) << key.path;
    EXPECT_FALSE(key.allowed().empty()) << key.path;
    EXPECT_FALSE(key.required && !key.fallback.empty()) << key.path;
  }
}

// FEDMESH_UPDATE_GOLDEN=1 writes the file anew.
TEST(JobFileTest, TheReferenceIsTheGeneratedOne) {
  const std::filesystem::path path = "coordinator/protocol/JOB_FILE.md";
  if (std::getenv("FEDMESH_UPDATE_GOLDEN") != nullptr)
    std::ofstream(path, std::ios::binary) << job_file_reference();
  EXPECT_TRUE(read_file(path) == job_file_reference())
      << path << " is stale: run this test with FEDMESH_UPDATE_GOLDEN=1";
}

std::vector<std::filesystem::path> shipped_files() {
  std::vector<std::filesystem::path> out;
  for (const auto& entry : std::filesystem::recursive_directory_iterator("examples")) {
    if (entry.path().extension() != ".toml") continue;
    if (read_file(entry.path()).find("\n[federation]") != std::string::npos)
      out.push_back(entry.path());
  }
  std::sort(out.begin(), out.end());
  return out;
}

TEST(ShippedJobFilesTest, AllAreValid) {
  const auto files = shipped_files();
  EXPECT_GE(files.size(), 6u);
  for (const auto& path : files) {
    auto file = parse_job_file(read_file(path), path.string());
    ASSERT_TRUE(file.ok()) << file.error().to_string();
    const auto blob = load_evaluation(*file);
    ASSERT_TRUE(blob.ok()) << path << ": " << blob.error().to_string();
    EXPECT_TRUE(file->spec.validate().ok()) << path;
  }
}

TEST(ShippedJobFilesTest, PrivateJobsSpendTheirBudgetExactlyAndHaveNoDelta) {
  for (const std::string path :
       {"examples/quickstart/clinics.toml", "examples/hospitals/heart_private.toml",
        "examples/hospitals/heart_worker.toml"}) {
    const JobSpec spec = parsed(read_file(path), path).spec;
    EXPECT_EQ(spec.federation.rounds * spec.privacy.epsilon_per_round_nano +
                  spec.preprocessing.epsilon_nano,
              spec.privacy.total.epsilon_nano)
        << path;
    EXPECT_EQ(spec.privacy.total.delta_pico, 0) << path;
  }
}

TEST(ShippedJobFilesTest, HeartHasThirteenInputsAndReadsEveryHospital) {
  const std::string path = "examples/hospitals/heart.toml";
  const JobSpec spec = parsed(read_file(path), path).spec;
  EXPECT_EQ(spec.schema.features(), 13u);
  const std::filesystem::path data = "../shared/data/heart-disease";
  if (!std::filesystem::exists(data)) GTEST_SKIP() << "the heart disease files are not here";
  const std::vector<std::pair<std::string, std::size_t>> hospitals{
      {"cleveland", 303}, {"hungarian", 261}, {"switzerland", 46}, {"va", 130}};
  for (const auto& [name, rows] : hospitals) {
    const auto source =
        models::DataSource::parse((data / ("processed." + name + ".data")).string());
    ASSERT_TRUE(source.ok());
    const auto loaded = models::load(*source, spec.schema);
    ASSERT_TRUE(loaded.ok()) << loaded.error().to_string();
    EXPECT_EQ(loaded->rows(), rows) << name;
    EXPECT_EQ(loaded->features, 13u);
  }
}

}  // namespace
}  // namespace fedmesh::protocol
