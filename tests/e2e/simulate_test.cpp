// `fedmesh simulate`: the whole federation in one process, with the real training.
#include <gmock/gmock.h>

#include <nlohmann/json.hpp>

#include "tests/e2e/federation.h"

namespace fedmesh::e2e {
namespace {

using nlohmann::json;
using ::testing::AllOf;
using ::testing::ContainsRegex;
using ::testing::HasSubstr;

class Simulate : public ::testing::Test {
 protected:
  Simulate() {
    for (int i = 0; i < 3; ++i)
      data_.insert(data_.end(), {"--data", net_.write_table("w" + std::to_string(i) + ".csv", i)});
    test_ = net_.write_table("test.csv", 7);
  }
  Ran simulate(const std::string& job, const std::vector<std::string>& flags = {}) {
    std::vector<std::string> arguments = {"simulate", job};
    arguments.insert(arguments.end(), data_.begin(), data_.end());
    arguments.insert(arguments.end(), flags.begin(), flags.end());
    return net_.fedmesh(arguments);
  }

  Federation net_;
  std::vector<std::string> data_;
  std::string test_;
};

TEST_F(Simulate, ASmallJobIsRunAndItsModelScored) {
  const std::string job = net_.write_job({});
  const Ran text = simulate(job, {"--test", test_, "--baselines"});
  ASSERT_EQ(text.code, 0) << text.out << text.err;
  EXPECT_THAT(text.out, AllOf(HasSubstr("seed 1 (simulated): finished: all rounds done"),
                              HasSubstr("accuracy on held-out data over one seed (simulated)"),
                              ContainsRegex("federated +[5-9][0-9]\\.[0-9] %"),
                              ContainsRegex("all data in one place +[5-9][0-9]\\.[0-9] %"),
                              ContainsRegex("worker 3 alone +[0-9]+\\.[0-9] %")));
  EXPECT_EQ(simulate(job, {"--test", test_, "--baselines"}).out, text.out) << "not reproducible";

  const Ran ran = simulate(
      job, {"--test", test_, "--seeds", "2", "--format", "json", "--set", "federation.rounds=3"});
  ASSERT_EQ(ran.code, 0) << ran.out << ran.err;
  const json told = json::parse(ran.out, nullptr, false);
  ASSERT_FALSE(told.is_discarded()) << ran.out;
  EXPECT_EQ(told["simulated"], true);
  ASSERT_EQ(told["runs"].size(), 2u);
  for (std::size_t i = 0; i < 2; ++i) {
    const json& run = told["runs"][i];
    EXPECT_EQ(run["seed"], i + 1);
    EXPECT_EQ(run["report"]["outcome"], "finished");
    ASSERT_EQ(run["rounds"].size(), 3u);
    EXPECT_EQ(run["rounds"][2]["pooled"]["rows"], 60);
    EXPECT_GT(run["rounds"][2]["pooled"]["accuracy"], 0.5);
  }
}

TEST_F(Simulate, AJobThatNeverGetsItsWorkersIsStatusOne) {
  const std::string job = net_.write_job({.federation = "rounds = 2\nmax_participants = 4\n"
                                                        "min_updates = 4\n"});
  const Ran few = simulate(job);
  EXPECT_EQ(few.code, 1) << few.out;
  EXPECT_THAT(few.err, HasSubstr("seed 1: the job did not end in a simulated week: 3 of at least 4 "
                                 "workers enrolled"));
  const Ran unreadable = simulate(job, {"--data", net_.path("absent.csv")});
  EXPECT_EQ(unreadable.code, 1) << unreadable.out;
  EXPECT_THAT(unreadable.err, HasSubstr("3 of at least 4 workers enrolled, 1 declined"));
}

TEST_F(Simulate, WhatIsWrongIsNamed) {
  const Ran wrong =
      simulate(net_.write("wrong.toml", "name = \"wrong\"\n[federation]\nrounds = 0\n"));
  EXPECT_EQ(wrong.code, 1);
  EXPECT_THAT(wrong.err, HasSubstr("wrong.toml:3: key 'federation.rounds': got 0, allowed:"));
  const Ran absent = simulate(net_.path("absent.toml"));
  EXPECT_EQ(absent.code, 1);
  EXPECT_THAT(absent.err, HasSubstr("cannot read " + net_.path("absent.toml")));
  EXPECT_EQ(net_.fedmesh({"simulate"}).code, 2);
  const Ran baselines = simulate(net_.write_job({}), {"--baselines"});
  EXPECT_EQ(baselines.code, 1);
  EXPECT_THAT(baselines.err, HasSubstr("--test"));
}

// As where it was built without LibTorch.
TEST_F(Simulate, AMissingSimulatorIsNamed) {
  std::filesystem::create_directory(net_.path("bin"));
  std::filesystem::copy_file(program("fedmesh"), net_.path("bin/fedmesh"));
  Process process({net_.path("bin/fedmesh"), "simulate", net_.write_job({})}, net_.path("logs/m"),
                  {"HOME=" + net_.home().string()});
  EXPECT_EQ(process.wait(), 1);
  EXPECT_EQ(process.output(), "");
  EXPECT_THAT(process.errors(),
              AllOf(HasSubstr("cannot start " + net_.path("bin/fedmesh-simulator")),
                    HasSubstr("target fedmesh-simulator")));
}

}  // namespace
}  // namespace fedmesh::e2e
