// The shipped hospital jobs on the four real files, where they lie beside the repository.
#include <filesystem>

#include "tests/sim/experiment.h"
#include "tests/sim/sim_fixture.h"
#include "tests/sim/simulation_text.h"

namespace fedmesh::sim {
namespace {

const std::filesystem::path kFolder = "../shared/data/heart-disease";

std::vector<std::string> hospitals(const std::string& half, std::uint64_t seed) {
  std::vector<std::string> out;
  for (const char* name : {"cleveland", "hungarian", "switzerland", "va"})
    out.push_back((kFolder / ("processed." + std::string(name) + ".data")).string() +
                  "?split=" + half + ":0.66:" + std::to_string(seed));
  return out;
}

protocol::JobSpec shipped(const std::string& name, const std::vector<std::string>& settings = {}) {
  const std::string path = "examples/hospitals/" + name;
  std::ifstream in(path);
  std::ostringstream read;
  read << in.rdbuf();
  std::string text = read.str();
  for (const auto& setting : settings) text = with_setting(text, setting).value();
  auto file = protocol::parse_job_file(text, path);
  EXPECT_TRUE(file.ok()) << file.error().to_string();
  return file->spec;
}

struct Trained {
  protocol::JobState job;
  Score pooled;
};

Trained run(const protocol::JobSpec& spec, std::uint64_t seed) {
  FederationOptions options;
  options.seed = seed;
  options.data = hospitals("train", seed);
  Watched sim(std::move(options));
  const JobId id = sim.federation.submit(spec, {});
  EXPECT_TRUE(sim.federation.run(id));
  Trained out{sim.federation.job(id), {}};
  EXPECT_EQ(out.job.phase, protocol::JobPhase::finished) << out.job.reason;
  const Model model{sim.federation.blob(out.job.model_root).value(),
                    sim.federation.blob(out.job.standardisation_root).value()};
  trainer::KernelExecutor executor;
  const auto scores = score(spec, std::span(&model, 1), hospitals("test", seed), executor);
  EXPECT_TRUE(scores.ok()) << scores.error().to_string();
  out.pooled = scores->at(0).pooled;
  return out;
}

double mean_accuracy(const protocol::JobSpec& spec) {
  std::vector<double> values;
  for (std::uint64_t seed = 1; seed <= 4; ++seed)
    values.push_back(run(spec, seed).pooled.accuracy());
  return spread(values).mean;
}

// One run's accuracy has a standard deviation of 0.02 to 0.03 over seeds, the mean of four one of
// 0.015 at most. The bounds are three of those below the means in examples/hospitals/README.md:
// had the seeds been drawn anew, a sound program would fail them less than once in 500 times.
TEST(HospitalsTest, FourHospitalsLearnTogether) {
  if (!std::filesystem::exists(kFolder)) GTEST_SKIP() << kFolder << " is not here";
  EXPECT_GE(mean_accuracy(shipped("heart.toml")), 0.75);
  EXPECT_GE(mean_accuracy(shipped("heart_private.toml")), 0.74);
}

// A full-batch step over all hospitals is the step over all rows in one place.
TEST(HospitalsTest, WithoutNoiseFederatedIsPooledTraining) {
  if (!std::filesystem::exists(kFolder)) GTEST_SKIP() << kFolder << " is not here";
  const auto spec = shipped("heart.toml", {"federation.rounds=6"});
  const Trained federated = run(spec, 1);
  trainer::KernelExecutor executor;
  const auto baselines = train_baselines(spec, hospitals("train", 1), 1, executor);
  ASSERT_TRUE(baselines.ok()) << baselines.error().to_string();
  ASSERT_EQ(baselines->local.size(), 4u);
  const auto scores = score(spec, std::span(&baselines->pooled, 1), hospitals("test", 1), executor);
  ASSERT_TRUE(scores.ok()) << scores.error().to_string();
  EXPECT_EQ(scores->at(0).pooled.rows, federated.pooled.rows);
  EXPECT_EQ(scores->at(0).pooled.correct, federated.pooled.correct);
  EXPECT_DOUBLE_EQ(scores->at(0).pooled.loss, federated.pooled.loss);
}

TEST(HospitalsTest, ThePrivateJobSpendsItsBudgetExactlyAndHasNoDelta) {
  if (!std::filesystem::exists(kFolder)) GTEST_SKIP() << kFolder << " is not here";
  const auto spec = shipped("heart_private.toml");
  const Trained done = run(spec, 3);
  std::int64_t spent = 0;
  std::uint64_t releases = 0;
  for (const auto& charge : done.job.privacy.charged) {
    spent += charge.epsilon0_nano * static_cast<std::int64_t>(charge.count);
    releases += charge.count;
  }
  EXPECT_EQ(releases, 6u);  // the query and five rounds
  EXPECT_EQ(spent, 1'000'000'000);
  EXPECT_EQ(spec.privacy.total, (privacy::Budget{1'000'000'000, 0}));
}

}  // namespace
}  // namespace fedmesh::sim
