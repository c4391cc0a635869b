// The real fedmesh-trainer, where it is built. Each start costs half a second of CPU, so there are
// few tests.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <unistd.h>

#include <cstdlib>
#include <fstream>
#include <sstream>

#include "tests/base/temporary_folder.h"
#include "tests/worker/trainer/supervised.h"
#include "tests/worker/trainer/test_tasks.h"

namespace fedmesh::trainer {
namespace {

using ::testing::HasSubstr;

const std::string kProgram = program_beside_this("fedmesh-trainer");
constexpr const char* kStrace = "/usr/bin/strace";

class ProgramTest : public ::testing::Test {
 protected:
  void SetUp() override {
    if (::access(kProgram.c_str(), X_OK) != 0)
      GTEST_SKIP() << "fedmesh-trainer is not built beside this test (FEDMESH_TORCH=OFF?)";
  }
};

TEST_F(ProgramTest, CarriesOutEveryTask) {
  Supervised it({kProgram});
  it.submit(describe_request(1));
  it.submit(statistics_request(2));
  it.submit(gradient_request(3));
  it.submit(train_request(4));
  it.submit(evaluate_request(5));
  for (std::uint64_t id : {1, 2, 3, 4, 5})
    ASSERT_TRUE(it.response(id).ok) << id << ": " << it.response(id).error;
  const auto rows = decode_task<DescribeResult>(it.response(1).body)->rows;
  EXPECT_EQ(decode_task<VectorResult>(it.response(2).body)->examples, rows);
  EXPECT_EQ(decode_task<VectorResult>(it.response(3).body)->examples, rows);
  const auto trained = *decode_task<TrainResult>(it.response(4).body);
  EXPECT_EQ(trained.examples, 64u);
  EXPECT_EQ(trained.delta.size(), 4 * models::elements(cnn_for_digits().layout()));
  EXPECT_GT(trained.loss_micro, 0);
  EXPECT_EQ(decode_task<EvaluateResult>(it.response(5).body)->loss_micro, 693147);
  const Ready ready = it.event(TrainerEvent::Kind::ready).ready;
  EXPECT_THAT(ready.engine, HasSubstr("LibTorch"));

  // The same task gives the same bits, by the same process and by another one.
  it.submit(train_request(6));
  EXPECT_EQ(it.response(6).body, it.response(4).body);
  ASSERT_EQ(::kill(it.supervisor->trainer_pid(), SIGTERM), 0);
  it.event(TrainerEvent::Kind::ended);
  it.submit(train_request(7));
  EXPECT_EQ(it.response(7).body, it.response(4).body);
}

TEST_F(ProgramTest, AKillInTheMiddleOfTrainingIsReportedAndSurvived) {
  Supervised it({kProgram});
  it.submit(train_request(1, 1000, 1000));
  it.progress(1);
  ASSERT_EQ(::kill(it.supervisor->trainer_pid(), SIGKILL), 0);
  EXPECT_THAT(it.response(1).error, HasSubstr("killed by signal 9 (SIGKILL)"));
  it.submit(describe_request(2));
  EXPECT_TRUE(it.response(2).ok);
}

TEST_F(ProgramTest, OpensNoSocketWhileItTrains) {
  const TemporaryFolder folder;
  const auto log = folder.path() / "strace";
  if (::access(kStrace, X_OK) != 0) GTEST_SKIP() << "strace is not installed";
  const std::string probe = std::string(kStrace) + " -o /dev/null /bin/true 2>/dev/null";
  if (std::system(probe.c_str()) != 0) GTEST_SKIP() << "this system does not allow ptrace";
  {
    Supervised it({kStrace, "-f", "-qq", "-e", "trace=socket,socketpair,connect,bind,execve", "-e",
                   "signal=none", "-o", log.string(), kProgram});
    it.submit(train_request(1));
    EXPECT_TRUE(it.response(1).ok) << it.response(1).error;
  }
  std::ifstream file(log);
  std::stringstream text;
  text << file.rdbuf();
  ASSERT_THAT(text.str(), HasSubstr("execve("));  // the log is real
  for (const char* call : {"socket(", "socketpair(", "connect(", "bind("})
    EXPECT_EQ(text.str().find(call), std::string::npos) << text.str();
}

}  // namespace
}  // namespace fedmesh::trainer
