// The structured log of a node: one typed event a line, for `fedmesh explain`, tests and people.
// Never holds secrets or values derived from private data.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "base/clock.h"
#include "base/result.h"

namespace fedmesh {

struct LogEvent {
  Instant at;
  std::string kind;  // "round.opened", "peer.connected", ...
  std::vector<std::pair<std::string, std::variant<std::int64_t, std::string>>> fields;
};

std::string to_json_line(const LogEvent& event);  // without the line's end; always valid UTF-8

class EventLog {
 public:
  virtual ~EventLog() = default;
  virtual void write(const LogEvent& event) = 0;
};

// When a log file is full it becomes `<file>.1`, replacing the one before, and a new file begins: a
// log takes at most twice this on disk.
inline constexpr std::uint64_t kEventLogBytes = 16u << 20;
std::filesystem::path rotated_log(const std::filesystem::path& path);  // `<file>.1`

// Appends JSON lines to a file, each written with one call. A write error is reported once on
// stderr and the log goes silent: losing the log must not stop the node. Not thread-safe: owned by
// the loop thread.
class FileEventLog final : public EventLog {
 public:
  // Goes on with the file that is there; a line that a crash tore is ended first.
  static Result<std::unique_ptr<FileEventLog>> open(const std::filesystem::path& path,
                                                    std::uint64_t bytes_max = kEventLogBytes);
  ~FileEventLog() override;
  void write(const LogEvent& event) override;

 private:
  FileEventLog(std::filesystem::path path, std::uint64_t bytes_max)
      : path_(std::move(path)), bytes_max_(bytes_max) {}
  Result<void> open_file();
  Result<void> append(const std::string& line);
  Result<void> rotate();

  std::filesystem::path path_;
  std::uint64_t bytes_max_;
  std::uint64_t bytes_ = 0;
  int fd_ = -1;
  bool failed_ = false;
};

// Keeps the newest `capacity` events in memory. Not thread-safe.
class MemoryEventLog final : public EventLog {
 public:
  explicit MemoryEventLog(std::size_t capacity = 10000) : capacity_(capacity) {}
  void write(const LogEvent& event) override;
  const std::vector<LogEvent>& events() const { return events_; }

 private:
  std::size_t capacity_;
  std::vector<LogEvent> events_;
};

}  // namespace fedmesh
