#include "worker/items.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <utility>

#include "models/data/file.h"

namespace fedmesh::worker {
namespace {

constexpr const char* kPartSuffix = ".part";

Error system_error(const std::string& doing, const std::filesystem::path& path) {
  return unavailable(doing + " " + path.string() + ": " + std::strerror(errno));
}

bool write_all(int fd, ByteView bytes) {
  while (!bytes.empty()) {
    const ssize_t written = ::write(fd, bytes.data(), bytes.size());
    if (written < 0 && errno == EINTR) continue;
    if (written <= 0) return false;
    bytes = bytes.subspan(static_cast<std::size_t>(written));
  }
  return true;
}

// A rename or removal is durable once its folder is.
Result<void> flush_folder(const std::filesystem::path& folder) {
  const int fd = ::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (fd < 0) return system_error("open", folder);
  const bool flushed = ::fsync(fd) == 0;
  ::close(fd);
  if (!flushed) return system_error("flush", folder);
  return {};
}

}  // namespace

Result<ItemFolder> ItemFolder::open(const std::filesystem::path& folder) {
  std::error_code error;
  std::filesystem::create_directories(folder, error);
  if (error) return unavailable("create " + folder.string() + ": " + error.message());
  if (::chmod(folder.c_str(), 0700) != 0) return system_error("protect", folder);
  const auto path = folder / ".lock";
  const int lock = ::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
  if (lock < 0) return system_error("open", path);
  if (::flock(lock, LOCK_EX | LOCK_NB) != 0) {
    ::close(lock);
    return unavailable("another worker uses " + folder.string() +
                       "; give this one a folder of its own with --home");
  }
  return ItemFolder(folder, lock);
}

ItemFolder::ItemFolder(ItemFolder&& other) noexcept
    : folder_(std::move(other.folder_)), lock_(std::exchange(other.lock_, -1)) {}

ItemFolder::~ItemFolder() {
  if (lock_ >= 0) ::close(lock_);
}

Result<PersistedItems> ItemFolder::load() const {
  PersistedItems items;
  std::error_code error;
  for (const auto& entry : std::filesystem::directory_iterator(folder_, error)) {
    const std::string name = entry.path().filename().string();
    if (name.starts_with(".") || name.starts_with("receipt-")) continue;
    if (name.ends_with(kPartSuffix)) {  // its writing was interrupted: it never counted
      std::filesystem::remove(entry.path(), error);
      continue;
    }
    FM_TRY(Bytes bytes, models::read_file(entry.path(), kItemBytesMax));
    items[name] = std::move(bytes);
  }
  if (error) return unavailable("read " + folder_.string() + ": " + error.message());
  return items;
}

Result<void> ItemFolder::write(const std::string& name, ByteView bytes) {
  const auto path = folder_ / name;
  const std::filesystem::path part = path.string() + kPartSuffix;
  const int fd = ::open(part.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
  if (fd < 0) return system_error("write", part);
  const bool written = write_all(fd, bytes) && ::fsync(fd) == 0;
  const Error failure = system_error("write", part);
  ::close(fd);
  if (!written) return failure;
  if (::rename(part.c_str(), path.c_str()) != 0) return system_error("rename to", path);
  return flush_folder(folder_);
}

Result<void> ItemFolder::erase(const std::string& name) {
  const auto path = folder_ / name;
  if (::unlink(path.c_str()) != 0) {
    if (errno == ENOENT) return {};
    return system_error("remove", path);
  }
  return flush_folder(folder_);
}

}  // namespace fedmesh::worker
