// RocksDB's view of a folder whose power may fail. Programs see the real files; beside them stands
// a picture of what was flushed, contents and names apart, and crash() makes the folder look like
// it. The same idea as tests/base/power_loss_disk.h.
#pragma once

#include <rocksdb/file_system.h>

#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>

namespace fedmesh {

// Thread-safe: RocksDB's background threads use it too. Folders, locks and RocksDB's diary (LOG)
// are not part of the picture.
class PowerLossFiles final : public rocksdb::FileSystemWrapper {
 public:
  PowerLossFiles();
  const char* Name() const override { return "PowerLossFiles"; }

  // With nothing open: whatever was not flushed is gone from the real folder too.
  void crash();
  // The operation (create, write, flush, rename, remove) after `operations` more fails with
  // `error`; so do all after it until repair(), or only this one if it fails `once`.
  void fail_after(std::uint64_t operations, rocksdb::IOStatus error, bool once = false);
  void repair();
  bool has_failed() const;
  std::uint64_t operations() const;

  rocksdb::IOStatus NewWritableFile(const std::string& name, const rocksdb::FileOptions& options,
                                    std::unique_ptr<rocksdb::FSWritableFile>* file,
                                    rocksdb::IODebugContext* debug) override;
  rocksdb::IOStatus NewRandomRWFile(const std::string& name, const rocksdb::FileOptions& options,
                                    std::unique_ptr<rocksdb::FSRandomRWFile>* file,
                                    rocksdb::IODebugContext* debug) override;
  rocksdb::IOStatus NewDirectory(const std::string& name, const rocksdb::IOOptions& options,
                                 std::unique_ptr<rocksdb::FSDirectory>* folder,
                                 rocksdb::IODebugContext* debug) override;
  rocksdb::IOStatus DeleteFile(const std::string& name, const rocksdb::IOOptions& options,
                               rocksdb::IODebugContext* debug) override;
  rocksdb::IOStatus RenameFile(const std::string& from, const std::string& to,
                               const rocksdb::IOOptions& options,
                               rocksdb::IODebugContext* debug) override;

 private:
  struct Inode {
    std::string path;
    std::string durable;
  };
  using Names = std::map<std::string, std::shared_ptr<Inode>>;
  class Writable;
  class RandomAccess;
  class Folder;

  rocksdb::IOStatus operation();
  rocksdb::IOStatus flush(Inode& inode);
  rocksdb::IOStatus flush_names(const std::string& folder);

  mutable std::mutex mutex_;
  // guarded by mutex_
  Names now_;
  Names durable_;
  std::uint64_t operations_ = 0;
  std::optional<std::pair<std::uint64_t, rocksdb::IOStatus>> failure_;
  bool fail_once_ = false;
  bool has_failed_ = false;
};

}  // namespace fedmesh
