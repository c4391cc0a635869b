// A child process with pipes on its standard streams that cannot outlive the thread that started
// it, however that ends.
#pragma once

#include <sys/types.h>

#include <memory>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/result.h"

namespace fedmesh::trainer {

// Not thread-safe. The kernel kills the child (SIGKILL) when the thread that called start() ends,
// kill -9 of this process included (PR_SET_PDEATHSIG), so it belongs to a thread that lives as long
// as the child should. The child inherits no other descriptor, has a process group of its own (a
// terminal's Ctrl-C does not reach it), gains no privileges and leaves no core file, which would
// hold private data.
class ChildProcess {
 public:
  // command[0] is a path. not_found: it cannot be executed. unavailable: the system refuses.
  static Result<std::unique_ptr<ChildProcess>> start(const std::vector<std::string>& command,
                                                     const std::vector<std::string>& environment);
  ~ChildProcess();  // kills and reaps
  ChildProcess(const ChildProcess&) = delete;
  ChildProcess& operator=(const ChildProcess&) = delete;

  pid_t pid() const { return pid_; }
  // Non-blocking ends of the pipes: the child's stdin, stdout and stderr; -1 once closed.
  int input() const { return input_; }
  int output() const { return output_; }
  int errors() const { return errors_; }
  void close_input();
  void close_errors();

  void kill();
  // Waits until the child has ended, kills it when `patience` is over, reaps it, and says how it
  // ended: "exited with code 3", "was killed by signal 9 (SIGKILL)".
  std::string wait(Duration patience);

 private:
  ChildProcess(pid_t pid, int input, int output, int errors)
      : pid_(pid), input_(input), output_(output), errors_(errors) {}

  pid_t pid_;  // 0 once reaped
  int input_, output_, errors_;
};

// This process's environment without anything that is not known to be of use to a trainer (secrets
// are handed over in environments), plus one thread for OpenBLAS and no busy waiting for OpenMP.
std::vector<std::string> trainer_environment();

}  // namespace fedmesh::trainer
