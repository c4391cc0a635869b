#include "base/private_folder.h"

#include "base/crypto/digest.h"
#include "base/crypto/keys.h"

namespace fedmesh {
namespace {

Digest item_digest(const std::string& name, ByteView bytes) {
  return crypto::Blake2b("fedmesh/item/v1").add_sized(as_bytes(name)).add(bytes).finish();
}

}  // namespace

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
    const std::size_t size = bytes.size() < 32 ? 0 : bytes.size() - 32;
    const ByteView contents = ByteView(bytes).first(size);
    if (bytes.size() < 32 || !crypto::equal_constant_time(item_digest(name, contents).view(),
                                                          ByteView(bytes).subspan(size)))
      return corruption("the stored item " + (folder_ / name).string() +
                        " is damaged. Restore it from a backup; who removes it instead makes this "
                        "node forget what it promised or spent (worker/README.md says what each "
                        "item is)");
    bytes.resize(size);
    items[name] = std::move(bytes);
  }
  return items;
}

Result<void> PrivateFolder::write(const std::string& name, ByteView bytes) {
  Bytes whole;
  whole.reserve(bytes.size() + 32);
  append(whole, bytes);
  append(whole, item_digest(name, bytes).view());
  const auto written = write_plain(name, whole);
  crypto::wipe(whole);
  return written;
}

Result<void> PrivateFolder::write_plain(const std::string& name, ByteView bytes) {
  return write_durably(*disk_, folder_ / name, bytes, SyncPoint::item_file, SyncPoint::item_folder);
}

Result<void> PrivateFolder::erase(const std::string& name) {
  FM_TRY_VOID(disk_->remove(folder_ / name));
  return disk_->sync_folder(folder_, SyncPoint::item_erased);
}

}  // namespace fedmesh
