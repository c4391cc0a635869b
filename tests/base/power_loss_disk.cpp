#include "tests/base/power_loss_disk.h"

#include <algorithm>
#include <cstring>

namespace fedmesh {

class PowerLossDisk::File final : public DiskFile {
 public:
  File(PowerLossDisk& disk, std::shared_ptr<Inode> inode) : disk_(disk), inode_(std::move(inode)) {}

  Result<std::size_t> read(std::uint64_t offset, MutableByteView to) const override {
    if (to.empty() || offset >= inode_->now.size()) return std::size_t{0};
    const std::size_t size = std::min(to.size(), inode_->now.size() - offset);
    std::memcpy(to.data(), inode_->now.data() + offset, size);
    return size;
  }
  Result<void> write(std::uint64_t offset, ByteView bytes) override {
    FM_TRY_VOID(disk_.operation());
    if (inode_->now.size() < offset + bytes.size()) inode_->now.resize(offset + bytes.size());
    std::copy(bytes.begin(), bytes.end(),
              inode_->now.begin() + static_cast<std::ptrdiff_t>(offset));
    return {};
  }
  Result<void> sync(SyncPoint point) override {
    FM_TRY_VOID(disk_.operation());
    disk_.used_.insert(point);
    if (!disk_.dropped_.contains(point)) inode_->durable = inode_->now;
    return {};
  }
  Result<std::uint64_t> size() const override { return std::uint64_t{inode_->now.size()}; }

 private:
  PowerLossDisk& disk_;
  std::shared_ptr<Inode> inode_;
};

Result<void> PowerLossDisk::operation() {
  ++operations_;
  if (failure_ && operations_ > failure_->first) return failure_->second;
  return {};
}

void PowerLossDisk::fail_after(std::uint64_t operations, Error error) {
  failure_.emplace(operations_ + operations, std::move(error));
}

Result<std::unique_ptr<DiskFile>> PowerLossDisk::open(const std::filesystem::path& path,
                                                      Mode mode) {
  const auto found = now_.find(path.string());
  if (mode != Mode::create) {
    if (found == now_.end()) return not_found("no file " + path.string());
    return std::unique_ptr<DiskFile>(std::make_unique<File>(*this, found->second));
  }
  FM_TRY_VOID(operation());
  auto& inode = now_[path.string()];
  if (!inode) inode = std::make_shared<Inode>();
  inode->now.clear();
  return std::unique_ptr<DiskFile>(std::make_unique<File>(*this, inode));
}

Result<void> PowerLossDisk::rename(const std::filesystem::path& from,
                                   const std::filesystem::path& to) {
  FM_TRY_VOID(operation());
  const auto found = now_.find(from.string());
  if (found == now_.end()) return not_found("no file " + from.string());
  now_[to.string()] = found->second;
  now_.erase(found);
  return {};
}

Result<void> PowerLossDisk::remove(const std::filesystem::path& path) {
  FM_TRY_VOID(operation());
  now_.erase(path.string());
  return {};
}

Result<void> PowerLossDisk::sync_folder(const std::filesystem::path& folder, SyncPoint point) {
  FM_TRY_VOID(operation());
  used_.insert(point);
  if (dropped_.contains(point)) return {};
  const auto in_folder = [&](const std::string& path) {
    return std::filesystem::path(path).parent_path() == folder;
  };
  std::erase_if(durable_, [&](const auto& entry) { return in_folder(entry.first); });
  for (const auto& [path, inode] : now_)
    if (in_folder(path)) durable_[path] = inode;
  return {};
}

Result<std::vector<std::string>> PowerLossDisk::list(const std::filesystem::path& folder) const {
  std::vector<std::string> names;
  for (const auto& [path, inode] : now_)
    if (std::filesystem::path(path).parent_path() == folder)
      names.push_back(std::filesystem::path(path).filename().string());
  return names;
}

void PowerLossDisk::crash() {
  now_.clear();
  for (auto& [path, inode] : durable_) {
    inode = std::make_shared<Inode>(Inode{inode->durable, inode->durable});
    now_[path] = inode;
  }
}

bool PowerLossDisk::contains(ByteView needle) const {
  const auto holds = [&](const Bytes& bytes) {
    return std::search(bytes.begin(), bytes.end(), needle.begin(), needle.end()) != bytes.end();
  };
  for (const auto* names : {&now_, &durable_})
    for (const auto& [path, inode] : *names)
      if (holds(inode->now) || holds(inode->durable)) return true;
  return false;
}

}  // namespace fedmesh
