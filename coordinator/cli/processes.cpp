#include "coordinator/cli/processes.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

namespace fedmesh::cli {
namespace {

std::string end_text(int status) {
  if (WIFSIGNALED(status)) return std::string("killed by ") + strsignal(WTERMSIG(status));
  return "exit status " + std::to_string(WEXITSTATUS(status));
}

// In the child, between fork and exec: only async-signal-safe calls.
[[noreturn]] void become(const std::vector<char*>& arguments, int log, pid_t parent) {
  ::setpgid(0, 0);
  ::prctl(PR_SET_PDEATHSIG, SIGTERM);
  if (::getppid() != parent) ::_exit(127);
  ::dup2(log, 1);
  ::dup2(log, 2);
  const int null = ::open("/dev/null", O_RDONLY);
  if (null >= 0) ::dup2(null, 0);
  ::execv(arguments[0], arguments.data());
  ::_exit(127);
}

}  // namespace

std::filesystem::path program_directory() {
  std::error_code error;
  return std::filesystem::read_symlink("/proc/self/exe", error).parent_path();
}

Processes::~Processes() { stop(); }

Result<pid_t> Processes::start(const std::string& name, const std::vector<std::string>& arguments,
                               const std::filesystem::path& log) {
  if (::access(arguments[0].c_str(), X_OK) != 0)
    return not_found("program " + arguments[0] + " is not there; build it first");
  const int fd = ::open(log.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
  if (fd < 0) return unavailable("open " + log.string() + ": " + std::strerror(errno));
  std::vector<char*> raw;
  for (const auto& argument : arguments) raw.push_back(const_cast<char*>(argument.c_str()));
  raw.push_back(nullptr);
  const pid_t parent = ::getpid();
  const pid_t pid = ::fork();
  if (pid == 0) become(raw, fd, parent);
  ::close(fd);
  if (pid < 0) return unavailable(std::string("fork: ") + std::strerror(errno));
  running_[pid] = name;
  return pid;
}

std::string Processes::first_dead() {
  for (const auto& [pid, name] : running_) {
    int status = 0;
    if (::waitpid(pid, &status, WNOHANG) != pid) continue;
    std::string text = name + ": " + end_text(status);
    running_.erase(pid);
    return text;
  }
  return "";
}

void Processes::stop(Duration grace) {
  for (const auto& [pid, name] : running_) ::kill(pid, SIGTERM);
  SystemClock clock;
  const Instant deadline = clock.now() + grace;
  while (!running_.empty() && clock.now() < deadline) {
    if (first_dead().empty()) ::poll(nullptr, 0, 10);
  }
  for (const auto& [pid, name] : running_) {
    ::kill(-pid, SIGKILL);
    ::waitpid(pid, nullptr, 0);
  }
  running_.clear();
}

}  // namespace fedmesh::cli
