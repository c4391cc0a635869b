// Processes of end-to-end tests: started with their output in files, waited for with deadlines, and
// gone when the test is over, whatever happened to it.
#pragma once

#include <sys/types.h>

#include <chrono>
#include <filesystem>
#include <functional>
#include <optional>
#include <string>
#include <vector>

namespace fedmesh::e2e {

// Generous: a deadline only decides how long a broken build takes to fail.
inline constexpr std::chrono::seconds kDeadline{60};

// True once `condition` holds; false when the deadline passes first.
bool eventually(const std::function<bool()>& condition, std::chrono::seconds deadline = kDeadline);

std::string read_text(const std::filesystem::path& path);  // "" where there is no such file

// A program of the build, beside this test or in FEDMESH_E2E_PROGRAMS.
std::string program(const std::string& name);

// A child of this test. Dies with the test. Start from the main thread. Not thread-safe.
class Process {
 public:
  // Output goes to `log` and `log`.err; `environment` replaces the one of the test.
  Process(const std::vector<std::string>& command, const std::filesystem::path& log,
          const std::vector<std::string>& environment);
  ~Process();  // SIGKILL where it still runs
  Process(const Process&) = delete;
  Process& operator=(const Process&) = delete;

  pid_t pid() const { return pid_; }
  bool running();
  void signal(int number) const;
  // Exit status, 128 and the signal's number where it was killed; nothing where it still runs at
  // the deadline.
  std::optional<int> wait(std::chrono::seconds deadline = kDeadline);
  std::string output() const { return read_text(log_); }
  std::string errors() const { return read_text(log_.string() + ".err"); }
  bool says(const std::string& text, std::chrono::seconds deadline = kDeadline);
  // A field of /proc/PID/status in kilobytes: "VmRSS" now, "VmHWM" at its highest. 0: not there.
  int memory_kb(const std::string& field) const;

 private:
  std::filesystem::path log_;
  pid_t pid_ = -1;
  std::optional<int> status_;
};

struct Running {
  pid_t pid = 0;
  std::string name;  // of the program
};
// Every living process below `ancestor`. After adopt_orphans() those that lost their parent too.
std::vector<Running> descendants(pid_t ancestor);
std::vector<Running> descendants(pid_t ancestor, const std::string& name);
void adopt_orphans();
// Kills whatever still lives below this process with that entry in its environment.
void end_descendants(const std::string& variable);

}  // namespace fedmesh::e2e
