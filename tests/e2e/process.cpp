#include "tests/e2e/process.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <fstream>
#include <iterator>
#include <map>

namespace fedmesh::e2e {
namespace {

namespace fs = std::filesystem;

std::vector<char*> pointers(const std::vector<std::string>& strings) {
  std::vector<char*> out;
  for (const auto& text : strings) out.push_back(const_cast<char*>(text.c_str()));
  out.push_back(nullptr);
  return out;
}

// In the child, between fork and exec: system calls only.
[[noreturn]] void become(char* const* command, char* const* environment, int out, int err,
                         pid_t parent) {
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (::getppid() != parent) ::_exit(127);
  const int null = ::open("/dev/null", O_RDONLY);
  ::dup2(null, 0);
  ::dup2(out, 1);
  ::dup2(err, 2);
  ::execve(command[0], command, environment);
  ::_exit(127);
}

struct Stat {
  pid_t parent = 0;
  char state = '?';
};

// Field 2 is the name in brackets, which may hold anything.
std::optional<Stat> stat_of(const fs::path& folder) {
  const std::string text = read_text(folder / "stat");
  const auto end = text.rfind(')');
  if (end == std::string::npos || end + 4 >= text.size()) return std::nullopt;
  return Stat{static_cast<pid_t>(std::atoi(text.c_str() + end + 4)), text[end + 2]};
}

}  // namespace

bool eventually(const std::function<bool()>& condition, std::chrono::seconds deadline) {
  const auto end = std::chrono::steady_clock::now() + deadline;
  while (!condition()) {
    if (std::chrono::steady_clock::now() >= end) return false;
    ::poll(nullptr, 0, 10);
  }
  return true;
}

std::string read_text(const fs::path& path) {
  std::ifstream in(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), std::istreambuf_iterator<char>()};
}

std::string program(const std::string& name) {
  const char* named = std::getenv("FEDMESH_E2E_PROGRAMS");
  const fs::path folder =
      named != nullptr ? fs::path(named) : fs::read_symlink("/proc/self/exe").parent_path();
  return (folder / name).string();
}

Process::Process(const std::vector<std::string>& command, const fs::path& log,
                 const std::vector<std::string>& environment)
    : log_(log) {
  constexpr int kFlags = O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC;
  const int out = ::open(log.c_str(), kFlags, 0600);
  const int err = ::open((log.string() + ".err").c_str(), kFlags, 0600);
  const auto arguments = pointers(command);
  const auto variables = pointers(environment);
  const pid_t parent = ::getpid();
  pid_ = ::fork();
  if (pid_ == 0) become(arguments.data(), variables.data(), out, err, parent);
  ::close(out);
  ::close(err);
  if (pid_ < 0) ADD_FAILURE() << "cannot start " << command[0];
}

Process::~Process() {
  if (!running()) return;
  signal(SIGKILL);
  wait();
}

bool Process::running() { return pid_ > 0 && !wait(std::chrono::seconds(0)); }

void Process::signal(int number) const {
  if (pid_ > 0 && !status_) ::kill(pid_, number);
}

std::optional<int> Process::wait(std::chrono::seconds deadline) {
  eventually(
      [&] {
        int status = 0;
        if (!status_ && pid_ > 0 && ::waitpid(pid_, &status, WNOHANG) == pid_)
          status_ = WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
        return status_.has_value();
      },
      deadline);
  return status_;
}

bool Process::says(const std::string& text, std::chrono::seconds deadline) {
  const auto said = [&] {
    return output().find(text) != std::string::npos || errors().find(text) != std::string::npos;
  };
  return eventually([&] { return said() || !running(); }, deadline) && said();
}

int Process::memory_kb(const std::string& field) const {
  const std::string status = read_text("/proc/" + std::to_string(pid_) + "/status");
  const auto at = status.find(field + ":");
  return at == std::string::npos ? 0 : std::atoi(status.c_str() + at + field.size() + 1);
}

std::vector<Running> descendants(pid_t ancestor) {
  std::multimap<pid_t, pid_t> children;
  for (const auto& entry : fs::directory_iterator("/proc")) {
    const pid_t pid = std::atoi(entry.path().filename().c_str());
    const auto stat = pid > 0 ? stat_of(entry.path()) : std::nullopt;
    if (stat && stat->state != 'Z') children.emplace(stat->parent, pid);
  }
  std::vector<Running> out;
  std::vector<pid_t> todo = {ancestor};
  while (!todo.empty()) {
    const auto [first, last] = children.equal_range(todo.back());
    todo.pop_back();
    for (auto at = first; at != last; ++at) {
      const std::string command = read_text("/proc/" + std::to_string(at->second) + "/cmdline");
      out.push_back({at->second, fs::path(command.c_str()).filename().string()});
      todo.push_back(at->second);
    }
  }
  return out;
}

std::vector<Running> descendants(pid_t ancestor, const std::string& name) {
  auto out = descendants(ancestor);
  std::erase_if(out, [&](const Running& process) { return process.name != name; });
  return out;
}

void adopt_orphans() { ::prctl(PR_SET_CHILD_SUBREAPER, 1); }

void end_descendants(const std::string& variable) {
  eventually([&] {
    auto left = descendants(::getpid());
    std::erase_if(left, [&](const Running& process) {
      const auto environment = read_text("/proc/" + std::to_string(process.pid) + "/environ");
      return environment.find(variable) == std::string::npos;
    });
    for (const auto& process : left) ::kill(process.pid, SIGKILL);
    return left.empty();
  });
}

}  // namespace fedmesh::e2e
