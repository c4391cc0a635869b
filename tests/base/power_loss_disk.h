// A disk in memory that keeps two pictures of itself: what programs see, and what would be there
// after the power failed. Only flushed contents and flushed names get from the one to the other.
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "base/disk.h"

namespace fedmesh {

// Not thread-safe. Handles opened before crash() are of no use after it.
class PowerLossDisk final : public Disk {
 public:
  Result<std::unique_ptr<DiskFile>> open(const std::filesystem::path& path, Mode mode) override;
  Result<void> rename(const std::filesystem::path& from, const std::filesystem::path& to) override;
  Result<void> remove(const std::filesystem::path& path) override;
  Result<void> sync_folder(const std::filesystem::path& folder, SyncPoint point) override;
  Result<void> create_folders(const std::filesystem::path&) override { return {}; }
  Result<std::vector<std::string>> list(const std::filesystem::path& folder) const override;

  void crash();                                           // the power fails and comes back
  void drop(SyncPoint point) { dropped_.insert(point); }  // this flush is forgotten from now on
  void keep_all() { dropped_.clear(); }
  // The operation (write, sync, rename, remove, create) after `operations` more fails, and all
  // after it, until repaired: with `error`.
  void fail_after(std::uint64_t operations, Error error);
  void repair() { failure_.reset(); }
  std::uint64_t operations() const { return operations_; }
  const std::set<SyncPoint>& used() const { return used_; }  // flushes that were asked for

  // Whether the bytes stand anywhere on it, also in what was overwritten but not flushed over.
  bool contains(ByteView needle) const;

 private:
  struct Inode {
    Bytes now;
    Bytes durable;
  };
  class File;
  using Names = std::map<std::string, std::shared_ptr<Inode>>;

  Result<void> operation();

  Names now_;
  Names durable_;
  std::set<SyncPoint> dropped_;
  std::set<SyncPoint> used_;
  std::uint64_t operations_ = 0;
  std::optional<std::pair<std::uint64_t, Error>> failure_;  // from this operation on
};

}  // namespace fedmesh
