#include "models/data/file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

namespace fedmesh::models {
namespace {

struct FileDescriptor {
  int value = -1;
  ~FileDescriptor() {
    if (value >= 0) ::close(value);
  }
};

Error system_error(const std::filesystem::path& path) {
  const std::string detail = path.string() + ": " + std::strerror(errno);
  return errno == ENOENT ? not_found(detail) : unavailable(detail);
}

}  // namespace

Result<Bytes> read_file(const std::filesystem::path& path, std::size_t max_bytes) {
  const FileDescriptor file{::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK)};
  if (file.value < 0) return system_error(path);
  struct stat status {};
  if (::fstat(file.value, &status) != 0) return system_error(path);
  if (!S_ISREG(status.st_mode)) return invalid_argument(path.string() + ": not a regular file");
  const auto too_long = [&] {
    return exhausted(path.string() + ": longer than " + std::to_string(max_bytes) + " bytes");
  };
  if (static_cast<std::uint64_t>(status.st_size) > max_bytes) return too_long();
  Bytes out;
  Bytes chunk(std::size_t{1} << 16);
  out.reserve(static_cast<std::size_t>(status.st_size));
  for (;;) {
    const ssize_t got = ::read(file.value, chunk.data(), chunk.size());
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return system_error(path);
    if (got == 0) return out;
    if (static_cast<std::size_t>(got) > max_bytes - out.size()) return too_long();  // it grew
    out.insert(out.end(), chunk.begin(), chunk.begin() + got);
  }
}

}  // namespace fedmesh::models
