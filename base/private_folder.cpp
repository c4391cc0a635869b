#include "base/private_folder.h"

namespace fedmesh {

Result<PrivateFolder> PrivateFolder::open(Disk& disk, std::filesystem::path folder) {
  FM_TRY_VOID(disk.create_folders(folder));
  return PrivateFolder(disk, std::move(folder));
}

Result<std::map<std::string, Bytes>> PrivateFolder::load(const std::string& without) const {
  std::map<std::string, Bytes> items;
  FM_TRY(const auto names, disk_->list(folder_));
  for (const std::string& name : names) {
    if (name.starts_with(".") || (!without.empty() && name.starts_with(without))) continue;
    if (name.ends_with(kPartSuffix)) {
      FM_TRY_VOID(disk_->remove(folder_ / name));
      continue;
    }
    FM_TRY(Bytes bytes, read_whole(*disk_, folder_ / name, kItemBytesMax));
    items[name] = std::move(bytes);
  }
  return items;
}

Result<void> PrivateFolder::write(const std::string& name, ByteView bytes) {
  return write_durably(*disk_, folder_ / name, bytes, SyncPoint::item_file, SyncPoint::item_folder);
}

Result<void> PrivateFolder::erase(const std::string& name) {
  FM_TRY_VOID(disk_->remove(folder_ / name));
  return disk_->sync_folder(folder_, SyncPoint::item_erased);
}

}  // namespace fedmesh
