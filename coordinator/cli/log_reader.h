// Reads event logs (base/event_log.h) of any size and in any condition: line by line, in bounded
// memory, skipping what is no event.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <map>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "base/event_log.h"
#include "base/result.h"

namespace fedmesh::cli {

inline constexpr std::size_t kLogLineBytes = 1u << 20;  // what is longer is no line of ours

// One event as it stands in a log.
struct LoggedEvent {
  std::int64_t at_ms = 0;
  std::string kind;
  std::map<std::string, std::variant<std::int64_t, std::string>> fields;

  std::string text(const std::string& name) const;     // "" where absent or a number
  std::int64_t number(const std::string& name) const;  // -1 where absent or a text
  bool has(const std::string& name) const { return fields.contains(name); }
};

// invalid_argument: the line is no event. Fields that are neither whole numbers nor texts are left
// out.
Result<LoggedEvent> parse_log_line(std::string_view line);
LoggedEvent logged(const LogEvent& event);

struct LogScan {
  std::uint64_t lines = 0;
  std::uint64_t skipped = 0;  // that are no events, a torn last one included
};
using LogVisitor = std::function<void(const LoggedEvent&)>;

// One file. not_found and unavailable name it.
Result<LogScan> scan_log(const std::filesystem::path& path, const LogVisitor& visit);
// The file that it was rotated from first, if there is one; then the file itself, which may be
// missing if the other is there.
Result<LogScan> scan_rotated_log(const std::filesystem::path& path, const LogVisitor& visit);

}  // namespace fedmesh::cli
