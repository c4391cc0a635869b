#include "worker/trainer/supervisor.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>

#include "tests/worker/trainer/supervised.h"
#include "tests/worker/trainer/test_tasks.h"
#include "worker/trainer/child_process.h"

namespace fedmesh::trainer {
namespace {

using ::testing::AllOf;
using ::testing::Contains;
using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::StartsWith;

const std::string kSelf = program_beside_this("worker_trainer_test");

SupervisorOptions trainer(const std::string& kind) {
  return {.command = {kSelf, "--as-trainer", kind}, .backoff_first = Duration(1)};
}

Request order(std::uint64_t id, const std::string& text, std::size_t padding = 0) {
  Bytes body = to_bytes(as_bytes(text));
  body.resize(body.size() + padding);
  return {.id = id, .kind = TaskKind::train, .body = body};
}

bool gone(int pid) { return ::kill(pid, 0) != 0 && errno == ESRCH; }

TEST(SupervisorTest, AnswersTasksInTurnWithOneTrainer) {
  Supervised trainer_process(trainer("good"));
  for (std::uint64_t id : {1, 2, 3}) trainer_process.submit(describe_request(id));
  const int first = (trainer_process.response(1), trainer_process.supervisor->trainer_pid());
  EXPECT_TRUE(trainer_process.response(3).ok);
  EXPECT_EQ(trainer_process.supervisor->trainer_pid(), first);
  EXPECT_EQ(trainer_process.event(TrainerEvent::Kind::ready).ready.engine, "test");
}

TEST(SupervisorTest, StartsTheTrainerWithTheFirstTaskOrAtOnce) {
  Supervised lazy(trainer("good"));
  EXPECT_EQ(lazy.supervisor->trainer_pid(), 0);
  auto options = trainer("good");
  options.start_at_once = true;
  Supervised eager(options);
  eager.event(TrainerEvent::Kind::ready);
  EXPECT_GT(eager.supervisor->trainer_pid(), 0);
}

TEST(SupervisorTest, AKilledTrainerFailsItsTaskAndIsReplaced) {
  Supervised it(trainer("good"));
  it.submit(order(1, "work"));
  it.progress(1);
  const int pid = it.supervisor->trainer_pid();
  it.submit(describe_request(2));
  ASSERT_EQ(::kill(pid, SIGKILL), 0);
  EXPECT_THAT(it.response(1).error, HasSubstr("killed by signal 9 (SIGKILL)"));
  EXPECT_TRUE(it.response(2).ok);
  EXPECT_NE(it.supervisor->trainer_pid(), pid);
}

TEST(SupervisorTest, NamesHowTheTrainerEndedAndWhatItSaidLast) {
  Supervised it(trainer("good"));
  it.submit(order(1, "abort"));
  EXPECT_THAT(it.response(1).error, AllOf(HasSubstr("killed by signal 6 (SIGABRT)"),
                                          HasSubstr("first line | out of paper")));
  it.submit(order(2, "exit"));
  EXPECT_THAT(it.response(2).error,
              AllOf(HasSubstr("exited with code 3"), Not(HasSubstr("paper"))));
}

TEST(SupervisorTest, AHangingTrainerIsKilledAtTheDeadline) {
  Supervised it(trainer("good"));
  it.submit(order(1, "hang"), Duration(100));
  EXPECT_THAT(it.response(1).error,
              AllOf(HasSubstr("no sign of life"), HasSubstr("signal 9 (SIGKILL)")));
  it.submit(describe_request(2));
  EXPECT_TRUE(it.response(2).ok);
}

TEST(SupervisorTest, ATrainerThatIsNeverReadyIsKilled) {
  auto options = trainer("mute");
  options.start_deadline = Duration(100);
  Supervised it(options);
  it.submit(describe_request(1));
  EXPECT_THAT(it.response(1).error, HasSubstr("not ready within 100 ms"));
}

TEST(SupervisorTest, GarbageEndsTheTrainerNotTheWorker) {
  Supervised it(trainer("good"));
  it.submit(order(1, "garbage"));
  EXPECT_THAT(it.response(1).error, HasSubstr("it sent garbage"));
  it.submit(order(2, "foreign"));
  EXPECT_THAT(it.response(2).error, HasSubstr("an answer to a task that it was not given"));
  it.submit(describe_request(3));
  EXPECT_TRUE(it.response(3).ok);
}

TEST(SupervisorTest, AWrongGreetingIsRefused) {
  Supervised outdated(trainer("outdated"));
  outdated.submit(describe_request(1));
  EXPECT_THAT(outdated.response(1).error, HasSubstr("version 99 of the protocol"));
  Supervised babbling(trainer("babbling"));
  babbling.submit(describe_request(1));
  EXPECT_THAT(babbling.response(1).error, HasSubstr("it sent garbage"));
}

TEST(SupervisorTest, EveryTaskOfATrainerThatCannotStartFails) {
  Supervised dead(trainer("dead"));
  for (std::uint64_t id : {1, 2, 3}) dead.submit(describe_request(id));
  for (std::uint64_t id : {1, 2, 3})
    EXPECT_THAT(dead.response(id).error,
                AllOf(HasSubstr("exited with code 3"), HasSubstr("no licence found")));
  Supervised absent({.command = {"/no/such/program"}, .backoff_first = Duration(1)});
  for (std::uint64_t id : {1, 2}) absent.submit(describe_request(id));
  for (std::uint64_t id : {1, 2})
    EXPECT_THAT(absent.response(id).error, HasSubstr("'/no/such/program' cannot be executed"));
}

TEST(SupervisorTest, ATrainerThatDoesNotReadNeitherBlocksNorKillsTheWorker) {
  Supervised it(trainer("deaf"));
  it.submit(order(1, "large", 8 << 20), Duration(100));
  EXPECT_FALSE(it.response(1).ok);
}

TEST(SupervisorTest, TheQueueIsBounded) {
  auto options = trainer("good");
  options.queue_max = 2;
  options.queue_bytes_max = 1000;
  Supervised it(options);
  it.submit(order(1, "work"));
  it.progress(1);
  it.submit(order(2, "hang"));
  EXPECT_EQ(it.supervisor->submit(order(3, "x", 1000), kLong).error().code, ErrorCode::exhausted);
  it.submit(order(4, "hang"));
  EXPECT_THAT(it.supervisor->submit(order(5, "hang"), kLong).error().detail,
              HasSubstr("2 tasks waiting"));
}

TEST(SupervisorTest, CancellingFailsTheTaskRunningOrNot) {
  Supervised it(trainer("good"));
  it.submit(order(1, "work"));
  it.progress(1);
  it.submit(order(2, "work"));
  it.supervisor->cancel(2);
  EXPECT_THAT(it.response(2).error, HasSubstr("cancelled"));
  it.supervisor->cancel(1);
  it.supervisor->cancel(99);
  EXPECT_THAT(it.response(1).error, HasSubstr("cancelled"));
  it.submit(describe_request(3));
  EXPECT_TRUE(it.response(3).ok);
}

TEST(SupervisorTest, StoppingFailsWhatIsOpenAndLeavesNoProcess) {
  Supervised it(trainer("good"));
  it.submit(order(1, "work"));
  it.progress(1);
  it.submit(describe_request(2));
  const int pid = it.supervisor->trainer_pid();
  it.supervisor->stop();
  EXPECT_TRUE(gone(pid));
  EXPECT_EQ(it.responses(), 2u);
  EXPECT_THAT(it.response(1).error, HasSubstr("stopped"));
  EXPECT_THAT(it.response(2).error, HasSubstr("stopped"));
  EXPECT_EQ(it.supervisor->submit(describe_request(3), kLong).error().code, ErrorCode::unavailable);
  it.supervisor->stop();
}

TEST(SupervisorTest, AnIdleTrainerEndsByItself) {
  auto options = trainer("good");
  options.idle_exit = Duration(1);
  Supervised it(options);
  it.submit(describe_request(1));
  EXPECT_TRUE(it.response(1).ok);
  EXPECT_EQ(it.event(TrainerEvent::Kind::ended).detail, "the idle trainer exited with code 0");
  it.submit(describe_request(2));
  EXPECT_TRUE(it.response(2).ok);
}

TEST(SupervisorTest, TheTrainerDiesWithItsWorker) {
  // Orphans come to this process, which can then see how they ended.
  ASSERT_EQ(::prctl(PR_SET_CHILD_SUBREAPER, 1), 0);
  auto worker = *ChildProcess::start({kSelf, "--as-worker"}, {});
  std::string line;
  while (line.find('\n') == std::string::npos) {
    pollfd readable{worker->output(), POLLIN, 0};
    ASSERT_EQ(::poll(&readable, 1, static_cast<int>(kLong.count())), 1);
    char piece[64];
    const ssize_t count = ::read(worker->output(), piece, sizeof(piece));
    ASSERT_GT(count, 0);
    line.append(piece, static_cast<std::size_t>(count));
  }
  ASSERT_THAT(line, StartsWith("process "));
  const pid_t trainer_pid = std::atoi(line.c_str() + 8);
  worker->kill();
  EXPECT_EQ(worker->wait(kLong), "was killed by signal 9 (SIGKILL)");
  int status = 0;
  ASSERT_EQ(::waitpid(trainer_pid, &status, 0), trainer_pid);
  ASSERT_TRUE(WIFSIGNALED(status));
  EXPECT_EQ(WTERMSIG(status), SIGKILL);
}

TEST(ChildProcessTest, TheEnvironmentHoldsNoSecrets) {
  ::setenv("FEDMESH_TOKEN", "secret", 1);
  ::setenv("OPENBLAS_NUM_THREADS", "8", 1);
  const auto environment = trainer_environment();
  EXPECT_THAT(environment, Contains("OPENBLAS_NUM_THREADS=1"));
  EXPECT_THAT(environment, Contains("OMP_WAIT_POLICY=passive"));
  EXPECT_THAT(environment, Not(Contains(HasSubstr("secret"))));
  EXPECT_THAT(environment, Not(Contains("OPENBLAS_NUM_THREADS=8")));
}

TEST(ChildProcessTest, TheOwnersChoiceOfBlasKernelsStays) {
  ::setenv("OPENBLAS_CORETYPE", "Prescott", 1);
  EXPECT_THAT(trainer_environment(), Contains("OPENBLAS_CORETYPE=Prescott"));
  EXPECT_THAT(trainer_environment(), Not(Contains("OPENBLAS_CORETYPE=SkylakeX")));
  ::unsetenv("OPENBLAS_CORETYPE");
}

}  // namespace
}  // namespace fedmesh::trainer
