#include "tests/base/power_loss_tree.h"

#include <sys/stat.h>

#include <fstream>
#include <iterator>

#include "base/check.h"

namespace fedmesh {
namespace {

namespace fs = std::filesystem;

ino_t inode_of(const fs::path& path) {
  struct stat status {};
  FM_CHECK(::lstat(path.c_str(), &status) == 0, "a file of the test is there");
  return status.st_ino;
}

std::string contents_of(const fs::path& path) {
  std::ifstream in(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), {}};
}

}  // namespace

class PowerLossTree::File final : public DiskFile {
 public:
  File(PowerLossTree& tree, fs::path path, std::unique_ptr<DiskFile> file)
      : tree_(tree), path_(std::move(path)), file_(std::move(file)) {}
  Result<std::size_t> read(std::uint64_t offset, MutableByteView to) const override {
    return file_->read(offset, to);
  }
  Result<void> write(std::uint64_t offset, ByteView bytes) override {
    return file_->write(offset, bytes);
  }
  Result<void> sync(SyncPoint point) override {
    tree_.used_.insert(point);
    if (!tree_.dropped_.contains(point)) tree_.flush_contents(path_);
    return {};
  }
  Result<std::uint64_t> size() const override { return file_->size(); }

 private:
  PowerLossTree& tree_;
  fs::path path_;
  std::unique_ptr<DiskFile> file_;
};

PowerLossTree::PowerLossTree(fs::path root, Sound sound)
    : root_(std::move(root)), sound_(std::move(sound)) {
  settle();
}

void PowerLossTree::settle() {
  contents_.clear();
  names_.clear();
  flush_names(root_);
  for (const auto& entry : fs::recursive_directory_iterator(root_)) {
    if (entry.is_directory()) flush_names(entry.path());
    if (entry.is_regular_file()) flush_contents(entry.path());
  }
}

void PowerLossTree::flush_contents(const fs::path& path) {
  contents_[inode_of(path)] = contents_of(path);
}

void PowerLossTree::flush_names(const fs::path& folder) {
  Names& names = names_[inode_of(folder)];
  names.clear();
  for (const auto& entry : fs::directory_iterator(folder))
    names[entry.path().filename().string()] = inode_of(entry.path());
}

Result<std::unique_ptr<DiskFile>> PowerLossTree::open(const fs::path& path, Mode mode) {
  const bool is_new = mode == Mode::create && !fs::exists(path);
  FM_TRY(auto file, disk_.open(path, mode));
  if (is_new) contents_.erase(inode_of(path));  // numbers of removed files are used again
  return std::unique_ptr<DiskFile>(std::make_unique<File>(*this, path, std::move(file)));
}

Result<void> PowerLossTree::rename(const fs::path& from, const fs::path& to) {
  return disk_.rename(from, to);
}

Result<void> PowerLossTree::remove(const fs::path& path) { return disk_.remove(path); }

Result<void> PowerLossTree::sync_folder(const fs::path& folder, SyncPoint point) {
  used_.insert(point);
  if (!dropped_.contains(point)) flush_names(folder);
  return {};
}

Result<void> PowerLossTree::create_folders(const fs::path& folder) {
  std::vector<fs::path> made;
  for (fs::path at = folder; !fs::exists(at); at = at.parent_path()) made.push_back(at);
  FM_TRY_VOID(disk_.create_folders(folder));
  for (const fs::path& at : made) names_[inode_of(at)].clear();  // nothing in it is flushed
  return {};
}

Result<std::vector<std::string>> PowerLossTree::list(const fs::path& folder) const {
  return disk_.list(folder);
}

void PowerLossTree::rebuild(const fs::path& to, ino_t folder) const {
  fs::create_directory(to);
  fs::permissions(to, fs::perms::owner_all);
  const auto known = names_.find(folder);
  if (known == names_.end()) return;
  for (const auto& [name, inode] : known->second) {
    if (names_.contains(inode)) {
      rebuild(to / name, inode);
      continue;
    }
    const auto flushed = contents_.find(inode);
    std::ofstream(to / name, std::ios::binary)
        << (flushed == contents_.end() ? "" : flushed->second);
    fs::permissions(to / name, fs::perms::owner_read | fs::perms::owner_write);
  }
}

void PowerLossTree::crash() {
  const fs::path survivors = root_.string() + ".crashed";
  rebuild(survivors, inode_of(root_));
  for (auto at = fs::recursive_directory_iterator(root_); sound_ && at != fs::end(at); ++at) {
    if (!sound_(at->path())) continue;
    const fs::path copy = survivors / fs::relative(at->path(), root_);
    fs::remove_all(copy);
    if (fs::exists(copy.parent_path())) fs::copy(at->path(), copy, fs::copy_options::recursive);
    if (at->is_directory()) at.disable_recursion_pending();
  }
  fs::remove_all(root_);
  fs::rename(survivors, root_);
  settle();
}

}  // namespace fedmesh
