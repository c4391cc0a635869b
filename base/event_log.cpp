#include "base/event_log.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstring>

namespace fedmesh {
namespace {

void append_quoted(std::string& out, const std::string& text) {
  out.push_back('"');
  for (const char c : text) {
    if (c == '"' || c == '\\') {
      out.push_back('\\');
      out.push_back(c);
    } else if (static_cast<unsigned char>(c) < 0x20) {
      char escaped[8];
      std::snprintf(escaped, sizeof(escaped), "\\u%04x", static_cast<unsigned>(c));
      out += escaped;
    } else {
      out.push_back(c);
    }
  }
  out.push_back('"');
}

}  // namespace

std::string to_json_line(const LogEvent& event) {
  std::string out = "{\"at_ms\":" + std::to_string(event.at.ms) + ",\"event\":";
  append_quoted(out, event.kind);
  for (const auto& [name, value] : event.fields) {
    out.push_back(',');
    append_quoted(out, name);
    out.push_back(':');
    if (const auto* number = std::get_if<std::int64_t>(&value)) {
      out += std::to_string(*number);
    } else {
      append_quoted(out, std::get<std::string>(value));
    }
  }
  out.push_back('}');
  return out;
}

Result<std::unique_ptr<FileEventLog>> FileEventLog::open(const std::filesystem::path& path) {
  const int fd = ::open(path.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
  if (fd < 0) return unavailable("open event log " + path.string() + ": " + std::strerror(errno));
  return std::unique_ptr<FileEventLog>(new FileEventLog(fd));
}

FileEventLog::~FileEventLog() { ::close(fd_); }

void FileEventLog::write(const LogEvent& event) {
  if (failed_) return;
  const std::string line = to_json_line(event) + "\n";
  if (::write(fd_, line.data(), line.size()) == static_cast<ssize_t>(line.size())) return;
  failed_ = true;
  std::fprintf(stderr, "event log: %s; no further events are logged\n", std::strerror(errno));
}

void MemoryEventLog::write(const LogEvent& event) {
  if (events_.size() == capacity_) events_.erase(events_.begin());
  events_.push_back(event);
}

}  // namespace fedmesh
