// What a job is doing and what it waits for, for people.
#pragma once

#include <optional>
#include <string>

#include "base/clock.h"
#include "coordinator/protocol/state.h"

namespace fedmesh::cli {

// "round 3 of 10: train and commit, waiting: 2 of 5 commitments, missing a1b2c3d4 e5f60718, 14 s
// left"
std::string describe_progress(const protocol::JobState& job, const protocol::JobSpec& spec,
                              const std::optional<protocol::RoundState>& round, Instant now);

// One line that updates in place on a terminal; plain lines otherwise, and only when something
// other than the time left changed. Not thread-safe.
class ProgressLine {
 public:
  ProgressLine();
  void show(const std::string& text);         // the current line
  void finish_line(const std::string& text);  // a line that stays
  void clear();

 private:
  SystemClock clock_;
  bool terminal_;
  Instant printed_;
  std::string last_;
};

}  // namespace fedmesh::cli
