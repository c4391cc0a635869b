#include "base/event_log.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <string_view>

namespace fedmesh {
namespace {

// Bytes of the UTF-8 sequence at `at`; 0 where there is none.
std::size_t sequence_at(std::string_view text, std::size_t at) {
  const auto byte = [&](std::size_t i) { return static_cast<unsigned char>(text[i]); };
  const unsigned first = byte(at);
  if (first < 0x80) return 1;
  const std::size_t length = first >= 0xF0 ? 4 : first >= 0xE0 ? 3 : first >= 0xC2 ? 2 : 0;
  if (length == 0 || first > 0xF4 || at + length > text.size()) return 0;
  for (std::size_t i = 1; i < length; ++i)
    if ((byte(at + i) & 0xC0) != 0x80) return 0;
  const unsigned second = byte(at + 1);
  const bool overlong = (first == 0xE0 && second < 0xA0) || (first == 0xF0 && second < 0x90);
  const bool outside = (first == 0xED && second > 0x9F) || (first == 0xF4 && second > 0x8F);
  return overlong || outside ? 0 : length;
}

// Text may come from a peer: one odd byte must not make the whole line unreadable.
void append_quoted(std::string& out, const std::string& text) {
  out.push_back('"');
  for (std::size_t at = 0; at < text.size();) {
    const char c = text[at];
    const std::size_t length = sequence_at(text, at);
    if (length == 0) {
      out += "\\ufffd";
    } else if (c == '"' || c == '\\') {
      out.push_back('\\');
      out.push_back(c);
    } else if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f) {
      char escaped[8];
      std::snprintf(escaped, sizeof(escaped), "\\u%04x", static_cast<unsigned>(c));
      out += escaped;
    } else {
      out.append(text, at, length);
    }
    at += length == 0 ? 1 : length;
  }
  out.push_back('"');
}

Error write_error(const std::filesystem::path& path, int code) {
  const bool full = code == ENOSPC || code == EDQUOT;
  return unavailable("event log " + path.string() + ": " +
                     (full ? "the disk is full (" : "cannot be written (") + std::strerror(code) +
                     "); no further events are logged" +
                     (full ? "; free some space and start again to go on logging" : ""));
}

bool ends_with_newline(int fd, std::uint64_t bytes) {
  char last = 0;
  return ::pread(fd, &last, 1, static_cast<off_t>(bytes - 1)) == 1 && last == '\n';
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

std::filesystem::path rotated_log(const std::filesystem::path& path) {
  return path.string() + ".1";
}

Result<std::unique_ptr<FileEventLog>> FileEventLog::open(const std::filesystem::path& path,
                                                         std::uint64_t bytes_max) {
  std::unique_ptr<FileEventLog> log(new FileEventLog(path, bytes_max));
  FM_TRY_VOID(log->open_file());
  return log;
}

FileEventLog::~FileEventLog() {
  if (fd_ >= 0) ::close(fd_);
}

Result<void> FileEventLog::open_file() {
  fd_ = ::open(path_.c_str(), O_RDWR | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
  struct stat status {};
  if (fd_ < 0 || ::fstat(fd_, &status) != 0)
    return unavailable("open event log " + path_.string() + ": " + std::strerror(errno));
  if (!S_ISREG(status.st_mode)) bytes_max_ = UINT64_MAX;  // a device or pipe is never renamed
  bytes_ = static_cast<std::uint64_t>(status.st_size);
  if (bytes_ == 0 || ends_with_newline(fd_, bytes_)) return {};
  return append("\n");
}

Result<void> FileEventLog::append(const std::string& line) {
  std::size_t done = 0;
  while (done < line.size()) {
    // A disk that has room for a part of the line says why only when asked for the rest.
    const ssize_t count = ::write(fd_, line.data() + done, line.size() - done);
    if (count < 0 && errno == EINTR) continue;
    if (count <= 0) return write_error(path_, count < 0 ? errno : EIO);
    done += static_cast<std::size_t>(count);
    bytes_ += static_cast<std::uint64_t>(count);
  }
  return {};
}

Result<void> FileEventLog::rotate() {
  if (::rename(path_.c_str(), rotated_log(path_).c_str()) != 0) return write_error(path_, errno);
  ::close(fd_);
  return open_file();
}

void FileEventLog::write(const LogEvent& event) {
  if (failed_) return;
  const std::string line = to_json_line(event) + "\n";
  Result<void> done;
  if (bytes_ > 0 && bytes_ + line.size() > bytes_max_) done = rotate();
  if (done.ok()) done = append(line);
  if (done.ok()) return;
  failed_ = true;
  std::fprintf(stderr, "%s\n", done.error().detail.c_str());
}

void MemoryEventLog::write(const LogEvent& event) {
  if (events_.size() == capacity_) events_.erase(events_.begin());
  events_.push_back(event);
}

}  // namespace fedmesh
