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

std::string to_json_line(const LogEvent& event);  // without the line's end

class EventLog {
 public:
  virtual ~EventLog() = default;
  virtual void write(const LogEvent& event) = 0;
};

// Appends JSON lines to a file, each written with one call. A write error is reported once on
// stderr and the log goes silent: losing the log must not stop the node. Not thread-safe: owned by
// the loop thread.
class FileEventLog final : public EventLog {
 public:
  static Result<std::unique_ptr<FileEventLog>> open(const std::filesystem::path& path);
  ~FileEventLog() override;
  void write(const LogEvent& event) override;

 private:
  explicit FileEventLog(int fd) : fd_(fd) {}
  int fd_;
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
