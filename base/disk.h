// Files as a node sees them. Whatever must survive a crash is written through a Disk, so that tests
// can hand in one that loses what was not flushed, is full or fails (tests/base/power_loss_disk.h).
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "base/bytes.h"
#include "base/result.h"

namespace fedmesh {

// Every place where a node waits for the disk. Each is there because something that was promised to
// others depends on it: with any one of them left out a test turns red (EveryFlushIsNeededForIt).
enum class SyncPoint : std::uint8_t {
  item_file,        // a worker's or coordinator's small private file: its contents
  item_folder,      // ... its name
  item_erased,      // ... that it is gone
  blob_data,        // a blob's bytes, before it counts as held
  blob_folder,      // ... its name
  ledger_block,     // a block with its certificate
  ledger_head,      // ... and that the ledger goes this far
  backup_file,      // what a backup consists of: its contents
  backup_folder,    // ... its names, that of the whole one last
  restored_home,    // the name of the home that a restore makes
  restored_file,    // what it puts into it, its warning first: contents
  restored_folder,  // ... names
  restored_mark     // that somebody confirmed the restored ledger
};
inline constexpr SyncPoint kSyncPoints[] = {
    SyncPoint::item_file,     SyncPoint::item_folder,   SyncPoint::item_erased,
    SyncPoint::blob_data,     SyncPoint::blob_folder,   SyncPoint::ledger_block,
    SyncPoint::ledger_head,   SyncPoint::backup_file,   SyncPoint::backup_folder,
    SyncPoint::restored_home, SyncPoint::restored_file, SyncPoint::restored_folder,
    SyncPoint::restored_mark,
};
const char* to_string(SyncPoint point);

// An open file, closed when it goes. Errors: exhausted where the disk is full, else unavailable;
// the detail names the file and what to do. After an error of write() or sync() the file's contents
// are unknown: the caller gives the file up and never repeats the call. Not thread-safe.
class DiskFile {
 public:
  virtual ~DiskFile() = default;
  // How many bytes were there: fewer than asked for only at the end of the file.
  virtual Result<std::size_t> read(std::uint64_t offset, MutableByteView to) const = 0;
  virtual Result<void> write(std::uint64_t offset, ByteView bytes) = 0;  // all of them
  virtual Result<void> sync(SyncPoint point) = 0;                        // contents and length
  virtual Result<std::uint64_t> size() const = 0;
};

// Not thread-safe: one per thread, or only used by one.
class Disk {
 public:
  enum class Mode {
    read,    // not_found where there is none
    update,  // read and write; not_found where there is none
    create,  // read and write, empty, readable by its owner alone
  };

  virtual ~Disk() = default;
  virtual Result<std::unique_ptr<DiskFile>> open(const std::filesystem::path& path, Mode mode) = 0;
  virtual Result<void> rename(const std::filesystem::path& from,
                              const std::filesystem::path& to) = 0;
  virtual Result<void> remove(const std::filesystem::path& path) = 0;  // ok where there is none
  // New names, renames and removals in the folder survive a crash from here on.
  virtual Result<void> sync_folder(const std::filesystem::path& folder, SyncPoint point) = 0;
  virtual Result<void> create_folders(const std::filesystem::path& folder) = 0;  // owner only
  // The files in it, without folders, sorted.
  virtual Result<std::vector<std::string>> list(const std::filesystem::path& folder) const = 0;
};

class SystemDisk final : public Disk {
 public:
  Result<std::unique_ptr<DiskFile>> open(const std::filesystem::path& path, Mode mode) override;
  Result<void> rename(const std::filesystem::path& from, const std::filesystem::path& to) override;
  Result<void> remove(const std::filesystem::path& path) override;
  Result<void> sync_folder(const std::filesystem::path& folder, SyncPoint point) override;
  Result<void> create_folders(const std::filesystem::path& folder) override;
  Result<std::vector<std::string>> list(const std::filesystem::path& folder) const override;
};

inline constexpr const char* kPartSuffix = ".part";

// The whole file or, after a crash, the one that was there before: written beside it under
// kPartSuffix, flushed, renamed, the folder flushed.
Result<void> write_durably(Disk& disk, const std::filesystem::path& path, ByteView bytes,
                           SyncPoint contents, SyncPoint name);
// create_folders(), and the names of those that were not there survive a crash from here on.
Result<void> create_folders_durably(Disk& disk, const std::filesystem::path& folder,
                                    SyncPoint names);
// not_found; exhausted where it is longer than `bytes_max`.
Result<Bytes> read_whole(Disk& disk, const std::filesystem::path& path, std::uint64_t bytes_max);

// One process at a time uses a folder. Held until it goes, or the process ends, however it ends.
class FolderLock {
 public:
  // unavailable: somebody else holds it; the detail is `busy`.
  static Result<FolderLock> take(const std::filesystem::path& folder, const std::string& busy);
  FolderLock(FolderLock&& other) noexcept;
  FolderLock& operator=(FolderLock&&) = delete;
  ~FolderLock();

 private:
  explicit FolderLock(int descriptor) : descriptor_(descriptor) {}
  int descriptor_;
};

}  // namespace fedmesh
