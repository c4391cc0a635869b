#include "tests/coordinator/ledger/rocksdb_store/power_loss_files.h"

#include <filesystem>
#include <fstream>
#include <iterator>
#include <utility>

namespace fedmesh {
namespace {

std::string contents(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), {}};
}

std::string normal(const std::string& path) {
  std::string out = std::filesystem::path(path).lexically_normal().string();
  while (out.size() > 1 && out.back() == '/') out.pop_back();
  return out;
}

}  // namespace

using rocksdb::IODebugContext;
using rocksdb::IOOptions;
using rocksdb::IOStatus;
using rocksdb::Slice;

class PowerLossFiles::Writable final : public rocksdb::FSWritableFileOwnerWrapper {
 public:
  Writable(PowerLossFiles& files, std::shared_ptr<Inode> inode,
           std::unique_ptr<rocksdb::FSWritableFile> file)
      : FSWritableFileOwnerWrapper(std::move(file)), files_(files), inode_(std::move(inode)) {}

  IOStatus Append(const Slice& data, const IOOptions& options, IODebugContext* debug) override {
    if (auto done = files_.operation(); !done.ok()) return done;
    return target()->Append(data, options, debug);
  }
  IOStatus Append(const Slice& data, const IOOptions& options, const rocksdb::DataVerificationInfo&,
                  IODebugContext* debug) override {
    return Append(data, options, debug);
  }
  IOStatus Sync(const IOOptions&, IODebugContext*) override { return files_.flush(*inode_); }
  IOStatus Fsync(const IOOptions&, IODebugContext*) override { return files_.flush(*inode_); }

 private:
  PowerLossFiles& files_;
  std::shared_ptr<Inode> inode_;
};

class PowerLossFiles::RandomAccess final : public rocksdb::FSRandomRWFileOwnerWrapper {
 public:
  RandomAccess(PowerLossFiles& files, std::shared_ptr<Inode> inode,
               std::unique_ptr<rocksdb::FSRandomRWFile> file)
      : FSRandomRWFileOwnerWrapper(std::move(file)), files_(files), inode_(std::move(inode)) {}

  IOStatus Write(std::uint64_t offset, const Slice& data, const IOOptions& options,
                 IODebugContext* debug) override {
    if (auto done = files_.operation(); !done.ok()) return done;
    return target()->Write(offset, data, options, debug);
  }
  IOStatus Sync(const IOOptions&, IODebugContext*) override { return files_.flush(*inode_); }
  IOStatus Fsync(const IOOptions&, IODebugContext*) override { return files_.flush(*inode_); }

 private:
  PowerLossFiles& files_;
  std::shared_ptr<Inode> inode_;
};

class PowerLossFiles::Folder final : public rocksdb::FSDirectoryWrapper {
 public:
  Folder(PowerLossFiles& files, std::string path, std::unique_ptr<rocksdb::FSDirectory> folder)
      : FSDirectoryWrapper(std::move(folder)), files_(files), path_(std::move(path)) {}

  IOStatus Fsync(const IOOptions&, IODebugContext*) override { return files_.flush_names(path_); }
  IOStatus FsyncWithDirOptions(const IOOptions&, IODebugContext*,
                               const rocksdb::DirFsyncOptions&) override {
    return files_.flush_names(path_);
  }

 private:
  PowerLossFiles& files_;
  std::string path_;
};

PowerLossFiles::PowerLossFiles() : FileSystemWrapper(rocksdb::FileSystem::Default()) {}

IOStatus PowerLossFiles::operation() {
  const std::lock_guard lock(mutex_);
  ++operations_;
  if (!failure_ || operations_ <= failure_->first) return IOStatus::OK();
  has_failed_ = true;
  const IOStatus error = failure_->second;
  if (fail_once_) failure_.reset();
  return error;
}

IOStatus PowerLossFiles::flush(Inode& inode) {
  if (auto done = operation(); !done.ok()) return done;
  const std::lock_guard lock(mutex_);
  inode.durable = contents(inode.path);
  return IOStatus::OK();
}

IOStatus PowerLossFiles::flush_names(const std::string& folder) {
  if (auto done = operation(); !done.ok()) return done;
  const std::lock_guard lock(mutex_);
  const auto inside = [&](const auto& entry) {
    return std::filesystem::path(entry.first).parent_path() == folder;
  };
  std::erase_if(durable_, inside);
  for (const auto& entry : now_)
    if (inside(entry)) durable_.insert(entry);
  return IOStatus::OK();
}

IOStatus PowerLossFiles::NewWritableFile(const std::string& name,
                                         const rocksdb::FileOptions& options,
                                         std::unique_ptr<rocksdb::FSWritableFile>* file,
                                         IODebugContext* debug) {
  if (auto done = operation(); !done.ok()) return done;
  if (auto done = target()->NewWritableFile(name, options, file, debug); !done.ok()) return done;
  const std::lock_guard lock(mutex_);
  auto inode = std::make_shared<Inode>(Inode{normal(name), ""});
  // A file that is there already is emptied, and has its old contents until it is flushed.
  if (const auto there = now_.find(normal(name)); there != now_.end())
    inode->durable = there->second->durable;
  now_[normal(name)] = inode;
  *file = std::make_unique<Writable>(*this, std::move(inode), std::move(*file));
  return IOStatus::OK();
}

IOStatus PowerLossFiles::NewRandomRWFile(const std::string& name,
                                         const rocksdb::FileOptions& options,
                                         std::unique_ptr<rocksdb::FSRandomRWFile>* file,
                                         IODebugContext* debug) {
  if (auto done = target()->NewRandomRWFile(name, options, file, debug); !done.ok()) return done;
  const std::lock_guard lock(mutex_);
  auto& inode = now_[normal(name)];
  if (!inode) inode = std::make_shared<Inode>(Inode{normal(name), contents(name)});
  *file = std::make_unique<RandomAccess>(*this, inode, std::move(*file));
  return IOStatus::OK();
}

IOStatus PowerLossFiles::NewDirectory(const std::string& name, const IOOptions& options,
                                      std::unique_ptr<rocksdb::FSDirectory>* folder,
                                      IODebugContext* debug) {
  if (auto done = target()->NewDirectory(name, options, folder, debug); !done.ok()) return done;
  *folder = std::make_unique<Folder>(*this, normal(name), std::move(*folder));
  return IOStatus::OK();
}

IOStatus PowerLossFiles::DeleteFile(const std::string& name, const IOOptions& options,
                                    IODebugContext* debug) {
  if (auto done = operation(); !done.ok()) return done;
  if (auto done = target()->DeleteFile(name, options, debug); !done.ok()) return done;
  const std::lock_guard lock(mutex_);
  now_.erase(normal(name));
  return IOStatus::OK();
}

IOStatus PowerLossFiles::RenameFile(const std::string& from, const std::string& to,
                                    const IOOptions& options, IODebugContext* debug) {
  if (auto done = operation(); !done.ok()) return done;
  if (auto done = target()->RenameFile(from, to, options, debug); !done.ok()) return done;
  const std::lock_guard lock(mutex_);
  if (auto moved = now_.extract(normal(from))) {
    moved.mapped()->path = normal(to);
    now_[normal(to)] = moved.mapped();
  }
  return IOStatus::OK();
}

void PowerLossFiles::crash() {
  const std::lock_guard lock(mutex_);
  for (const auto& [path, inode] : now_) std::filesystem::remove(path);
  now_.clear();
  for (auto& [path, inode] : durable_) {
    // A name may have been flushed before its file was renamed.
    inode = std::make_shared<Inode>(Inode{path, inode->durable});
    std::ofstream(path, std::ios::binary) << inode->durable;
    now_[path] = inode;
  }
}

void PowerLossFiles::fail_after(std::uint64_t operations, IOStatus error, bool once) {
  const std::lock_guard lock(mutex_);
  failure_.emplace(operations_ + operations, std::move(error));
  fail_once_ = once;
  has_failed_ = false;
}

void PowerLossFiles::repair() {
  const std::lock_guard lock(mutex_);
  failure_.reset();
}

bool PowerLossFiles::has_failed() const {
  const std::lock_guard lock(mutex_);
  return has_failed_;
}

std::uint64_t PowerLossFiles::operations() const {
  const std::lock_guard lock(mutex_);
  return operations_;
}

}  // namespace fedmesh
