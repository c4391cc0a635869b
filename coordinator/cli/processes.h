// Child processes of the demo: started together, stopped together, none left behind.
#pragma once

#include <sys/types.h>

#include <filesystem>
#include <map>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/result.h"

namespace fedmesh::cli {

// Every child leads a process group of its own (so that Ctrl-C reaches only the demo, which then
// stops the children in order) and dies with this process, even when this process is killed; so do
// its own children. Not thread-safe. Start from the main thread.
class Processes {
 public:
  Processes() = default;
  Processes(const Processes&) = delete;
  Processes& operator=(const Processes&) = delete;
  ~Processes();  // stop()

  // Output goes to `log`.
  Result<pid_t> start(const std::string& name, const std::vector<std::string>& arguments,
                      const std::filesystem::path& log);
  // The name and end of a child that is gone already, if any.
  std::string first_dead();
  // SIGTERM, then SIGKILL to the whole group of whoever is left after `grace`.
  void stop(Duration grace = std::chrono::seconds(5));
  const std::map<pid_t, std::string>& running() const { return running_; }

 private:
  std::map<pid_t, std::string> running_;
};

// The directory of this program, where its siblings are.
std::filesystem::path program_directory();

}  // namespace fedmesh::cli
