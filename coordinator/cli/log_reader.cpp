#include "coordinator/cli/log_reader.h"

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <memory>
#include <nlohmann/json.hpp>

namespace fedmesh::cli {
namespace {

struct Close {
  void operator()(std::FILE* file) const { std::fclose(file); }
};

// Calls `take` with every line, and with nothing in place of one that is too long.
class LineSplitter {
 public:
  template <class Take>
  void feed(std::string_view piece, const Take& take) {
    while (!piece.empty()) {
      const std::size_t end = piece.find('\n');
      add(piece.substr(0, end));
      if (end == std::string_view::npos) return;
      finish(take);
      piece.remove_prefix(end + 1);
    }
  }
  template <class Take>
  void finish(const Take& take) {
    take(too_long_ ? std::string_view() : std::string_view(line_));
    line_.clear();
    too_long_ = false;
  }
  bool pending() const { return too_long_ || !line_.empty(); }

 private:
  void add(std::string_view part) {
    too_long_ = too_long_ || line_.size() + part.size() > kLogLineBytes;
    if (too_long_) {
      line_.clear();
    } else {
      line_ += part;
    }
  }
  std::string line_;
  bool too_long_ = false;
};

}  // namespace

std::string LoggedEvent::text(const std::string& name) const {
  const auto at = fields.find(name);
  const auto* value = at == fields.end() ? nullptr : std::get_if<std::string>(&at->second);
  return value == nullptr ? "" : *value;
}

std::int64_t LoggedEvent::number(const std::string& name) const {
  const auto at = fields.find(name);
  const auto* value = at == fields.end() ? nullptr : std::get_if<std::int64_t>(&at->second);
  return value == nullptr ? -1 : *value;
}

Result<LoggedEvent> parse_log_line(std::string_view line) {
  const auto json = nlohmann::json::parse(line.begin(), line.end(), nullptr, false);
  if (!json.is_object()) return invalid_argument("not a JSON object");
  LoggedEvent out;
  for (const auto& [name, value] : json.items()) {
    const bool number = value.is_number_integer();
    if (name == "at_ms" && number) {
      out.at_ms = value.get<std::int64_t>();
    } else if (name == "event" && value.is_string()) {
      out.kind = value.get<std::string>();
    } else if (number) {
      out.fields.emplace(name, value.get<std::int64_t>());
    } else if (value.is_string()) {
      out.fields.emplace(name, value.get<std::string>());
    }
  }
  if (out.kind.empty() || out.at_ms <= 0) return invalid_argument("no at_ms or no event");
  return out;
}

LoggedEvent logged(const LogEvent& event) {
  LoggedEvent out{event.at.ms, event.kind, {}};
  for (const auto& [name, value] : event.fields) out.fields.emplace(name, value);
  return out;
}

Result<LogScan> scan_log(const std::filesystem::path& path, const LogVisitor& visit) {
  std::error_code ignored;
  if (std::filesystem::is_directory(path, ignored))
    return invalid_argument(path.string() + " is a folder; name the events.jsonl in it");
  // Opening a pipe would wait for whoever writes into it.
  if (std::filesystem::exists(path, ignored) && !std::filesystem::is_regular_file(path, ignored))
    return invalid_argument(path.string() + " is not a regular file");
  const std::unique_ptr<std::FILE, Close> file(std::fopen(path.c_str(), "rbe"));
  if (!file && errno == ENOENT) return not_found("there is no event log " + path.string());
  if (!file) return unavailable("cannot read " + path.string() + ": " + std::strerror(errno));
  LogScan scan;
  const auto take = [&](std::string_view line) {
    ++scan.lines;
    const auto event = parse_log_line(line);
    if (event.ok()) {
      visit(*event);
    } else {
      ++scan.skipped;
    }
  };
  LineSplitter lines;
  std::vector<char> piece(1u << 16);
  for (;;) {
    const std::size_t count = std::fread(piece.data(), 1, piece.size(), file.get());
    if (count == 0) break;
    lines.feed(std::string_view(piece.data(), count), take);
  }
  if (std::ferror(file.get()) != 0)
    return unavailable("cannot read " + path.string() + ": " + std::strerror(errno));
  if (lines.pending()) lines.finish(take);
  return scan;
}

Result<LogScan> scan_rotated_log(const std::filesystem::path& path, const LogVisitor& visit) {
  auto before = scan_log(rotated_log(path), visit);
  const bool rotated = before.ok();
  if (!rotated && before.error().code != ErrorCode::not_found) return before.error();
  auto now = scan_log(path, visit);
  if (!now.ok()) {
    if (rotated && now.error().code == ErrorCode::not_found) return before;
    return now;
  }
  if (rotated) {
    now->lines += before->lines;
    now->skipped += before->skipped;
  }
  return now;
}

}  // namespace fedmesh::cli
