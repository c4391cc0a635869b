// `fedmesh demo`: from nothing to an audited model, and nothing left behind, however it ends.
#include <gmock/gmock.h>
#include <signal.h>
#include <unistd.h>

#include <nlohmann/json.hpp>

#include "tests/e2e/federation.h"

namespace fedmesh::e2e {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

class Demo : public ::testing::Test {
 protected:
  // A demo whose two workers train until somebody stops them.
  std::unique_ptr<Process> begin_endless() {
    JobText job{.name = "endless"};
    job.training += "local_epochs = 1000\nbatch_size = 1\n";
    job.federation += "commit_deadline = \"1h\"\n";
    auto demo =
        net_.begin({"demo", "--home", net_.path("demo"), "--job", net_.write_job(job), "--data",
                    net_.write_table("one.csv", 1), "--data", net_.write_table("two.csv", 2)});
    const auto training = [&] {
      return read_text(net_.path("demo/worker-1.log")).find("round 1: training") !=
             std::string::npos;
    };
    EXPECT_TRUE(eventually([&] { return training() || !demo->running(); }) && training())
        << demo->output() << demo->errors();
    EXPECT_EQ(descendants(::getpid(), "fedmesh-worker").size(), 2u);
    EXPECT_GE(descendants(::getpid(), "fedmesh-trainer").size(), 1u);
    return demo;
  }

  static std::string left() {
    std::string names;
    for (const auto& process : descendants(::getpid()))
      names += process.name + " " + std::to_string(process.pid) + "\n";
    return names;
  }

  Federation net_;
};

TEST_F(Demo, TrainsAuditsAndLeavesOnlyItsFilesBehind) {
  const Ran ran = net_.fedmesh({"demo", "--home", net_.path("demo")});
  ASSERT_EQ(ran.code, 0) << ran.out << ran.err;
  EXPECT_THAT(left(), IsEmpty());
  for (const char* heading : {"round", "workers", "validation loss", "accuracy", "ε spent",
                              "bytes up/down", "seconds", "aggregator", "ledger height"})
    EXPECT_THAT(ran.out, HasSubstr(heading));
  EXPECT_THAT(ran.out, HasSubstr("epsilon 1.000 in total"));
  EXPECT_THAT(ran.out, HasSubstr("the one aggregating coordinator sees the exact sum"));
  EXPECT_THAT(ran.out, HasSubstr("target reached: accuracy"));
  EXPECT_THAT(ran.out, HasSubstr("the offline audit holds"));
  EXPECT_THAT(ran.out, HasSubstr("all processes are stopped"));

  for (const char* file : {"model.safetensors", "ledger.export", "report.html"})
    EXPECT_FALSE(read_text(net_.path(std::string("demo/") + file)).empty()) << file;
  EXPECT_THAT(read_text(net_.path("demo/report.html")), HasSubstr("<svg"));
  const auto report = nlohmann::json::parse(read_text(net_.path("demo/report.json")));
  EXPECT_EQ(report.at("outcome"), "finished");
  EXPECT_EQ(report.at("rounds").size(), 11u);
  EXPECT_DOUBLE_EQ(report.at("privacy").at("epsilon_spent").get<double>(), 1.0);
  EXPECT_GT(report.at("rounds").back().at("accuracy").get<double>(), 0.5);
  EXPECT_FALSE(report.at("audit").empty());

  const Ran again = net_.fedmesh(
      {"audit", net_.path("demo/model.safetensors"), "--ledger", net_.path("demo/ledger.export")});
  EXPECT_EQ(again.code, 0) << again.err;
}

TEST_F(Demo, FailsWhereTheJobDoes) {
  JobText job{.name = "lonely"};
  job.federation = "rounds = 1\nmin_updates = 2\nenrol_deadline = \"3s\"\non_too_few = \"end\"\n";
  const Ran ran = net_.fedmesh({"demo", "--home", net_.path("demo"), "--job", net_.write_job(job),
                                "--data", net_.write_table("one.csv", 1), "--data",
                                "digits:rows=10,seed=1"});  // not this job's data: declines
  EXPECT_EQ(ran.code, 1);
  // A slow machine misses the deadline with the other worker too.
  EXPECT_THAT(ran.err, AllOf(HasSubstr("the job ended as failed: too few workers: "),
                             HasSubstr(" of at least 2 workers enrolled")));
  EXPECT_THAT(left(), IsEmpty());
}

TEST_F(Demo, RefusesAJobThatItsWorkersCannotFill) {
  JobText job{.name = "lonely"};
  job.federation = "rounds = 1\nmin_updates = 2\n";
  const Ran ran = net_.fedmesh({"demo", "--home", net_.path("demo"), "--job", net_.write_job(job),
                                "--data", net_.write_table("one.csv", 1)});
  EXPECT_EQ(ran.code, 1);
  EXPECT_THAT(ran.err, HasSubstr("needs at least 2 workers, and there are 1"));
  EXPECT_THAT(left(), IsEmpty());
}

TEST_F(Demo, CtrlCStopsEverythingWithinSeconds) {
  const auto demo = begin_endless();
  demo->signal(SIGINT);
  const auto code = demo->wait(std::chrono::seconds(15));
  ASSERT_TRUE(code.has_value()) << "still running";
  EXPECT_EQ(*code, 1);
  EXPECT_THAT(demo->errors(), HasSubstr("interrupted"));
  EXPECT_THAT(left(), IsEmpty());
}

TEST_F(Demo, TakesEverythingAlongWhenItIsKilled) {
  const auto demo = begin_endless();
  demo->signal(SIGKILL);
  ASSERT_EQ(demo->wait(), 128 + SIGKILL);
  EXPECT_TRUE(eventually([] { return descendants(::getpid()).empty(); }, std::chrono::seconds(15)))
      << left();
}

}  // namespace
}  // namespace fedmesh::e2e
