#include "base/disk.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <utility>

namespace fedmesh {
namespace {

Error system_error(const std::string& doing, const std::filesystem::path& path, int number) {
  const std::string what = doing + " " + path.string() + ": " + std::strerror(number);
  if (number == ENOSPC || number == EDQUOT)
    return exhausted(what +
                     "; free space there and start again, nothing that was promised is lost");
  if (number == ENOENT) return not_found(what);
  return unavailable(what);
}

class SystemFile final : public DiskFile {
 public:
  SystemFile(std::filesystem::path path, int descriptor)
      : path_(std::move(path)), descriptor_(descriptor) {}
  ~SystemFile() override { ::close(descriptor_); }

  Result<std::size_t> read(std::uint64_t offset, MutableByteView to) const override {
    std::size_t done = 0;
    while (done < to.size()) {
      const ssize_t got = ::pread(descriptor_, to.data() + done, to.size() - done,
                                  static_cast<off_t>(offset + done));
      if (got < 0 && errno == EINTR) continue;
      if (got < 0) return system_error("read", path_, errno);
      if (got == 0) break;
      done += static_cast<std::size_t>(got);
    }
    return done;
  }

  Result<void> write(std::uint64_t offset, ByteView bytes) override {
    while (!bytes.empty()) {
      const ssize_t put =
          ::pwrite(descriptor_, bytes.data(), bytes.size(), static_cast<off_t>(offset));
      if (put < 0 && errno == EINTR) continue;
      if (put < 0) return system_error("write", path_, errno);
      if (put == 0) return system_error("write", path_, ENOSPC);
      bytes = bytes.subspan(static_cast<std::size_t>(put));
      offset += static_cast<std::uint64_t>(put);
    }
    return {};
  }

  Result<void> sync(SyncPoint) override {
    if (::fsync(descriptor_) != 0) return system_error("flush", path_, errno);
    return {};
  }

  Result<std::uint64_t> size() const override {
    struct stat status {};
    if (::fstat(descriptor_, &status) != 0) return system_error("look at", path_, errno);
    return static_cast<std::uint64_t>(status.st_size);
  }

 private:
  std::filesystem::path path_;
  int descriptor_;
};

}  // namespace

const char* to_string(SyncPoint point) {
  switch (point) {
    case SyncPoint::item_file:
      return "item_file";
    case SyncPoint::item_folder:
      return "item_folder";
    case SyncPoint::item_erased:
      return "item_erased";
    case SyncPoint::blob_data:
      return "blob_data";
    case SyncPoint::blob_folder:
      return "blob_folder";
    case SyncPoint::ledger_block:
      return "ledger_block";
    case SyncPoint::ledger_head:
      return "ledger_head";
    case SyncPoint::backup_file:
      return "backup_file";
    case SyncPoint::backup_folder:
      return "backup_folder";
    case SyncPoint::restored_file:
      return "restored_file";
    case SyncPoint::restored_home:
      return "restored_home";
    case SyncPoint::restored_folder:
      return "restored_folder";
    case SyncPoint::restored_mark:
      return "restored_mark";
  }
  return "unknown";
}

Result<std::unique_ptr<DiskFile>> SystemDisk::open(const std::filesystem::path& path, Mode mode) {
  int flags = O_CLOEXEC;
  switch (mode) {
    case Mode::read:
      flags |= O_RDONLY;
      break;
    case Mode::update:
      flags |= O_RDWR;
      break;
    case Mode::create:
      flags |= O_RDWR | O_CREAT | O_TRUNC;
      break;
  }
  const int descriptor = ::open(path.c_str(), flags, 0600);
  if (descriptor < 0) return system_error("open", path, errno);
  return std::unique_ptr<DiskFile>(std::make_unique<SystemFile>(path, descriptor));
}

Result<void> SystemDisk::rename(const std::filesystem::path& from,
                                const std::filesystem::path& to) {
  if (::rename(from.c_str(), to.c_str()) != 0) return system_error("rename to", to, errno);
  return {};
}

Result<void> SystemDisk::remove(const std::filesystem::path& path) {
  if (::unlink(path.c_str()) != 0 && errno != ENOENT) return system_error("remove", path, errno);
  return {};
}

Result<void> SystemDisk::sync_folder(const std::filesystem::path& folder, SyncPoint) {
  const int descriptor = ::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (descriptor < 0) return system_error("open", folder, errno);
  const int failed = ::fsync(descriptor) == 0 ? 0 : errno;
  ::close(descriptor);
  if (failed != 0) return system_error("flush", folder, failed);
  return {};
}

Result<void> SystemDisk::create_folders(const std::filesystem::path& folder) {
  std::error_code error;
  std::filesystem::create_directories(folder, error);
  if (error) return system_error("create", folder, error.value());
  if (::chmod(folder.c_str(), 0700) != 0) return system_error("protect", folder, errno);
  return {};
}

Result<std::vector<std::string>> SystemDisk::list(const std::filesystem::path& folder) const {
  std::vector<std::string> names;
  std::error_code error;
  for (auto at = std::filesystem::directory_iterator(folder, error);
       !error && at != std::filesystem::directory_iterator(); at.increment(error)) {
    std::error_code ignored;
    if (at->is_regular_file(ignored)) names.push_back(at->path().filename().string());
  }
  if (error) return system_error("list", folder, error.value());
  std::sort(names.begin(), names.end());
  return names;
}

Result<void> write_durably(Disk& disk, const std::filesystem::path& path, ByteView bytes,
                           SyncPoint contents, SyncPoint name) {
  const std::filesystem::path part = path.string() + kPartSuffix;
  {
    FM_TRY(const auto file, disk.open(part, Disk::Mode::create));
    FM_TRY_VOID(file->write(0, bytes));
    FM_TRY_VOID(file->sync(contents));
  }
  FM_TRY_VOID(disk.rename(part, path));
  return disk.sync_folder(path.parent_path(), name);
}

Result<void> create_folders_durably(Disk& disk, const std::filesystem::path& folder,
                                    SyncPoint names) {
  namespace fs = std::filesystem;
  fs::path at = fs::absolute(folder).lexically_normal();
  if (!at.has_filename()) at = at.parent_path();
  std::vector<fs::path> parents = {at.parent_path()};
  std::error_code ignored;
  const bool was_there = fs::exists(at, ignored);
  for (at = at.parent_path(); !fs::exists(at, ignored) && at.has_relative_path();
       at = at.parent_path())
    parents.push_back(at.parent_path());
  FM_TRY_VOID(disk.create_folders(folder));
  for (const fs::path& parent : parents) {
    // A folder that was there may be left by an attempt that was interrupted, or by somebody else,
    // whose folder above it need not be ours to open.
    if (was_there && ::access(parent.c_str(), R_OK) != 0) continue;
    FM_TRY_VOID(disk.sync_folder(parent, names));
  }
  return {};
}

Result<Bytes> read_whole(Disk& disk, const std::filesystem::path& path, std::uint64_t bytes_max) {
  FM_TRY(const auto file, disk.open(path, Disk::Mode::read));
  FM_TRY(const std::uint64_t size, file->size());
  if (size > bytes_max)
    return exhausted(path.string() + " has " + std::to_string(size) + " bytes, at most " +
                     std::to_string(bytes_max) + " are read");
  Bytes bytes(size);
  FM_TRY(const std::size_t got, file->read(0, bytes));
  if (got != size) return unavailable("read " + path.string() + ": it became shorter meanwhile");
  return bytes;
}

Result<FolderLock> FolderLock::take(const std::filesystem::path& folder, const std::string& busy) {
  const auto path = folder / ".lock";
  const int descriptor = ::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
  if (descriptor < 0) return system_error("open", path, errno);
  if (::flock(descriptor, LOCK_EX | LOCK_NB) != 0) {
    ::close(descriptor);
    return unavailable(busy);
  }
  return FolderLock(descriptor);
}

FolderLock::FolderLock(FolderLock&& other) noexcept
    : descriptor_(std::exchange(other.descriptor_, -1)) {}

FolderLock::~FolderLock() {
  if (descriptor_ >= 0) ::close(descriptor_);
}

}  // namespace fedmesh
