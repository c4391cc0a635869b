#include "worker/trainer/lock_down.h"

#include <gtest/gtest.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>

namespace fedmesh::trainer {
namespace {

// In a child process, because there is no way back. 77: the system has no filters.
int locked_child(bool allow_local) {
  const pid_t child = ::fork();
  if (child == 0) {
    if (!deny_network(allow_local).ok()) ::_exit(77);
    const bool inet = ::socket(AF_INET, SOCK_STREAM, 0) >= 0 || errno != EPERM;
    const bool inet6 = ::socket(AF_INET6, SOCK_DGRAM, 0) >= 0 || errno != EPERM;
    int pair[2];
    const bool local = ::socket(AF_UNIX, SOCK_STREAM, 0) >= 0;
    const bool pairs = ::socketpair(AF_UNIX, SOCK_STREAM, 0, pair) == 0;
    const bool pipes = ::pipe(pair) == 0;
    ::_exit((inet ? 1 : 0) | (inet6 ? 2 : 0) | (local ? 4 : 0) | (pairs ? 8 : 0) |
            (pipes ? 0 : 16));
  }
  int status = 0;
  ::waitpid(child, &status, 0);
  return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

TEST(LockDownTest, SocketsAreGoneAndPipesAreNot) {
  const int outcome = locked_child(false);
  if (outcome == 77) GTEST_SKIP() << "this system has no system call filters (seccomp)";
  EXPECT_EQ(outcome, 0);
}

TEST(LockDownTest, LocalSocketsMayStay) {
  const int outcome = locked_child(true);
  if (outcome == 77) GTEST_SKIP() << "this system has no system call filters (seccomp)";
  EXPECT_EQ(outcome, 4 | 8);
}

}  // namespace
}  // namespace fedmesh::trainer
