// A real folder whose power may fail, for code that also looks past its Disk: beside the real files
// stands a picture of what was flushed, contents and names apart, and crash() makes the folder look
// like it. The same idea as power_loss_disk.h, where there are no real files.
#pragma once

#include <sys/types.h>

#include <functional>
#include <map>
#include <set>
#include <string>

#include "base/disk.h"

namespace fedmesh {

// Paths for which `sound` says so are the business of another test, and survive every crash that
// their folder survives, as they are. Not thread-safe.
class PowerLossTree final : public Disk {
 public:
  using Sound = std::function<bool(const std::filesystem::path&)>;
  explicit PowerLossTree(std::filesystem::path root, Sound sound = {});

  Result<std::unique_ptr<DiskFile>> open(const std::filesystem::path& path, Mode mode) override;
  Result<void> rename(const std::filesystem::path& from, const std::filesystem::path& to) override;
  Result<void> remove(const std::filesystem::path& path) override;
  Result<void> sync_folder(const std::filesystem::path& folder, SyncPoint point) override;
  Result<void> create_folders(const std::filesystem::path& folder) override;
  Result<std::vector<std::string>> list(const std::filesystem::path& folder) const override;

  void settle();                                          // all that is there now is flushed
  void crash();                                           // the power fails and comes back
  void drop(SyncPoint point) { dropped_.insert(point); }  // this flush is forgotten from now on
  const std::set<SyncPoint>& used() const { return used_; }

 private:
  class File;
  using Names = std::map<std::string, ino_t>;

  void flush_contents(const std::filesystem::path& path);
  void flush_names(const std::filesystem::path& folder);
  void rebuild(const std::filesystem::path& to, ino_t folder) const;

  SystemDisk disk_;
  std::filesystem::path root_;
  Sound sound_;
  std::map<ino_t, std::string> contents_;  // of files, as flushed
  std::map<ino_t, Names> names_;           // in folders, as flushed
  std::set<SyncPoint> dropped_;
  std::set<SyncPoint> used_;
};

}  // namespace fedmesh
