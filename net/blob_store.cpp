#include "net/blob_store.h"

#include <algorithm>

#include "base/check.h"
#include "base/crypto/blob_hash.h"
#include "net/blob_file.h"
#include "net/blob_store_impl.h"

namespace fedmesh::net {

// --- the index, under its lock (its larger part is in blob_store_impl.cpp) ---

BlobStore::Impl::Partial* BlobStore::Impl::partial_of(const Digest& root,
                                                      const std::shared_ptr<Incoming>& incoming) {
  const auto found = partial_.find(root);
  return found != partial_.end() && found->second.incoming == incoming ? &found->second : nullptr;
}

bool BlobStore::Impl::pinned(const Digest& root) const {
  return std::any_of(pins_.begin(), pins_.end(),
                     [&](const auto& owned) { return owned.second.contains(root); });
}

std::optional<Digest> BlobStore::Impl::oldest_suspended() const {
  const std::pair<const Digest, Partial>* oldest = nullptr;
  for (const auto& entry : partial_)
    if (!entry.second.active && !pinned(entry.first) &&
        (oldest == nullptr || entry.second.age < oldest->second.age))
      oldest = &entry;
  if (oldest == nullptr) return std::nullopt;
  return oldest->first;
}

std::optional<Digest> BlobStore::Impl::oldest_unpinned() const {
  for (const auto& [age, root] : by_age_)
    if (!pinned(root)) return root;
  return std::nullopt;
}

Result<void> BlobStore::Impl::make_room(std::uint64_t bytes) {
  if (bytes_ + bytes <= limits_.bytes_max) return {};
  // Nothing is thrown away for what does not fit in any case.
  const std::uint64_t needed = bytes_ + bytes - limits_.bytes_max;
  std::uint64_t loose = spare_bytes_;
  for (const auto& [root, partial] : partial_)
    if (!partial.active && !pinned(root))
      loose += blob_file_bytes(partial.incoming->manifest.total);
  for (auto at = by_age_.begin(); loose < needed && at != by_age_.end(); ++at)
    if (!pinned(at->second)) loose += blob_file_bytes(whole_.at(at->second).total);
  if (loose < needed)
    return exhausted("the blobs in use leave no room for " + std::to_string(bytes) + " of " +
                     std::to_string(limits_.bytes_max) + " bytes; allow more or wait");
  while (bytes_ + bytes > limits_.bytes_max) {
    if (!spares_.empty()) {
      drop_spare(spares_.begin());
    } else if (const auto partial = oldest_suspended()) {
      drop_partial(*partial);
    } else if (const auto whole = oldest_unpinned()) {
      drop_whole(*whole);
    } else {
      break;
    }
  }
  return {};
}

// The caller gives the file up if this fails: whether the name survives a crash is unknown then.
Result<void> BlobStore::Impl::name(const std::filesystem::path& from, const Digest& root,
                                   Flush flush) {
  while (whole_.size() >= limits_.blobs_max) {
    const auto oldest = oldest_unpinned();
    if (!oldest) return exhausted(std::to_string(whole_.size()) + " blobs are pinned already");
    drop_whole(*oldest);
  }
  FM_TRY_VOID(disk_.rename(from, path_of(root)));
  if (flush == Flush::no) return {};
  const auto flushed = disk_.sync_folder(folder_, SyncPoint::blob_folder);
  if (!flushed.ok()) (void)disk_.remove(path_of(root));
  return flushed;
}

void BlobStore::Impl::insert(const Digest& root, std::uint64_t total, Flush flushed) {
  const std::uint64_t age = next_++;
  whole_.insert_or_assign(root, Whole{total, age, age, flushed});
  by_age_.emplace(age, root);
}

void BlobStore::Impl::drop_whole(const Digest& root) {
  const auto found = whole_.find(root);
  if (found == whole_.end()) return;
  bytes_ -= blob_file_bytes(found->second.total);
  by_age_.erase(found->second.age);
  whole_.erase(found);
  (void)disk_.remove(path_of(root));  // one that stays is found again at the next start
}

constexpr std::uint64_t kSpareFrom = 1u << 20;  // smaller files are cheap to make

bool BlobStore::Impl::spare_whole(const Digest& root) {
  const auto found = whole_.find(root);
  if (found == whole_.end()) return false;
  const std::uint64_t bytes = blob_file_bytes(found->second.total);
  // Readers may read what they opened to the end, and a chunk that came twice is written twice.
  const bool in_use = found->second.in_use.use_count() > 1 || !found->second.incoming.expired();
  if (in_use || bytes < kSpareFrom || spare_bytes_ + bytes > limits_.spare_bytes_max) return false;
  const auto path = folder_ / ("spare-" + std::to_string(next_++) + kPartSuffix);
  if (!disk_.rename(path_of(root), path).ok()) return false;
  by_age_.erase(found->second.age);
  whole_.erase(found);
  spares_.emplace(bytes, path);
  spare_bytes_ += bytes;
  return true;
}

void BlobStore::Impl::drop_spare(
    std::multimap<std::uint64_t, std::filesystem::path>::iterator which) {
  (void)disk_.remove(which->second);
  bytes_ -= which->first;
  spare_bytes_ -= which->first;
  spares_.erase(which);
}

void BlobStore::Impl::drop_spares() {
  const std::lock_guard lock(mutex_);
  while (!spares_.empty()) drop_spare(spares_.begin());
}

// For a blob to be received. What stands in a spare file is not trusted, as in any partial one.
Result<std::unique_ptr<DiskFile>> BlobStore::Impl::open_part(const Digest& root,
                                                             std::uint64_t bytes) {
  const auto spare = spares_.find(bytes);
  if (spare == spares_.end()) return disk_.open(part_of(root), Disk::Mode::create);
  const auto path = spare->second;
  bytes_ -= bytes;
  spare_bytes_ -= bytes;
  spares_.erase(spare);
  if (disk_.rename(path, part_of(root)).ok())
    if (auto file = disk_.open(part_of(root), Disk::Mode::update); file.ok()) return file;
  (void)disk_.remove(path);
  return disk_.open(part_of(root), Disk::Mode::create);
}

void BlobStore::Impl::drop_partial(const Digest& root) {
  if (forget_partial(root)) (void)disk_.remove(part_of(root));
}

bool BlobStore::Impl::forget_partial(const Digest& root) {
  const auto found = partial_.find(root);
  if (found == partial_.end()) return false;
  bytes_ -= blob_file_bytes(found->second.incoming->manifest.total);
  partial_.erase(found);
  return true;
}

void BlobStore::Impl::pin(const std::string& owner, std::set<Digest> roots) {
  const std::lock_guard lock(mutex_);
  if (roots.empty()) {
    pins_.erase(owner);
  } else {
    pins_[owner] = std::move(roots);
  }
}

void BlobStore::Impl::remove(const Digest& root) {
  const std::lock_guard lock(mutex_);
  if (!spare_whole(root)) drop_whole(root);
  drop_partial(root);
}

void BlobStore::Impl::remove_unpinned() {
  const std::lock_guard lock(mutex_);
  while (const auto root = oldest_suspended()) drop_partial(*root);
  while (const auto root = oldest_unpinned()) drop_whole(*root);
}

std::set<Digest> BlobStore::Impl::roots() const {
  const std::lock_guard lock(mutex_);
  std::set<Digest> out;
  for (const auto& [root, whole] : whole_) out.insert(root);
  return out;
}

BlobStats BlobStore::Impl::stats() const {
  const std::lock_guard lock(mutex_);
  return {bytes_, whole_.size(), partial_.size(), spare_bytes_};
}

// --- what it hands out ---

class BlobStore::Reader final : public BlobReader {
 public:
  Reader(std::shared_ptr<Impl> impl, const Digest& root, Impl::Opened opened, BlobManifest manifest,
         Verify verify)
      : impl_(std::move(impl)),
        root_(root),
        opened_(std::move(opened)),
        manifest_(std::move(manifest)),
        checked_(manifest_.leaves.size(),
                 verify == Verify::no || (verify == Verify::found && !opened_.found)) {}

  std::uint64_t size() const override { return manifest_.total; }
  const BlobManifest& manifest() const override { return manifest_; }
  void doubt() override { checked_.assign(manifest_.leaves.size(), false); }
  Result<void> read(std::uint64_t offset, MutableByteView to) override {
    if (offset > manifest_.total || to.size() > manifest_.total - offset)
      return invalid_argument("blob " + root_.short_hex() + " has " +
                              std::to_string(manifest_.total) + " bytes");
    const auto status = read_blob_checked(*opened_.file, manifest_, offset, to, checked_);
    if (status.ok()) return status;
    if (status.error().code == ErrorCode::corruption)
      impl_->drop_damaged(root_, opened_.generation);
    return status.error().with_context("blob " + root_.short_hex());
  }

 private:
  std::shared_ptr<Impl> impl_;
  Digest root_;
  Impl::Opened opened_;
  BlobManifest manifest_;
  std::vector<bool> checked_;  // by leaf
};

class BlobStore::Writer final : public BlobWriter {
 public:
  Writer(std::shared_ptr<Impl> impl, Impl::Draft draft)
      : impl_(std::move(impl)), draft_(std::move(draft)) {}
  ~Writer() override { impl_->discard(draft_); }

  Result<void> append(ByteView bytes) override {
    const auto status = try_append(bytes);
    if (!status.ok()) failed_ = status.error();
    return status;
  }

  Result<Digest> finish() override {
    FM_CHECK(!finished_, "finish() is called once");
    finished_ = true;
    if (failed_) return *failed_;
    if (!tail_.empty()) FM_TRY_VOID(write_leaves(tail_));
    const Digest root = crypto::blob_root(manifest_.leaves, manifest_.total);
    FM_TRY_VOID(reserve(blob_file_bytes(manifest_.total)));
    FM_TRY_VOID(draft_.file->write(manifest_.total, encode_blob_trailer(manifest_)));
    FM_TRY_VOID(draft_.file->sync(SyncPoint::blob_data));
    FM_TRY_VOID(impl_->commit(draft_, root, manifest_.total));
    return root;
  }

  // All at once, with its leaves; nothing was appended before.
  Result<void> append_all(ByteView bytes, std::vector<Digest> leaves) {
    FM_TRY_VOID(draft_.file->write(0, bytes));
    manifest_ = {bytes.size(), std::move(leaves)};
    return {};
  }

  Result<void> reserve(std::uint64_t bytes) {
    return bytes <= draft_.reserved ? Result<void>()
                                    : impl_->reserve(draft_, bytes - draft_.reserved);
  }

 private:
  // Rooms are asked for in steps: each may have to look through the whole store.
  static constexpr std::uint64_t kReserveStep = 1u << 20;

  // Leaves are hashed several at a time.
  static constexpr std::size_t kWriteBytes = 4 * crypto::kBlobLeafBytes;

  Result<void> try_append(ByteView bytes) {
    if (failed_) return *failed_;
    const std::uint64_t total = manifest_.total + tail_.size() + bytes.size();
    if (total > impl_->limits().blob_bytes_max)
      return exhausted("a blob has at most " + std::to_string(impl_->limits().blob_bytes_max) +
                       " bytes");
    if (total > draft_.reserved) {
      const auto ahead = reserve(total + kReserveStep);
      if (!ahead.ok()) FM_TRY_VOID(reserve(total));
    }
    while (!bytes.empty()) {
      if (tail_.empty() && bytes.size() >= kWriteBytes) {
        FM_TRY_VOID(write_leaves(bytes.first(kWriteBytes)));
        bytes = bytes.subspan(kWriteBytes);
        continue;
      }
      const std::size_t taken = std::min(bytes.size(), kWriteBytes - tail_.size());
      fedmesh::append(tail_, bytes.first(taken));
      bytes = bytes.subspan(taken);
      if (tail_.size() < kWriteBytes) continue;
      FM_TRY_VOID(write_leaves(tail_));
      tail_.clear();
    }
    return {};
  }

  Result<void> write_leaves(ByteView leaves) {
    FM_TRY_VOID(draft_.file->write(manifest_.total, leaves));
    for (const Digest& leaf : crypto::blob_leaves(leaves)) manifest_.leaves.push_back(leaf);
    manifest_.total += leaves.size();
    return {};
  }

  std::shared_ptr<Impl> impl_;
  Impl::Draft draft_;
  BlobManifest manifest_;  // so far
  Bytes tail_;             // what is not written yet, below kWriteBytes
  std::optional<Error> failed_;
  bool finished_ = false;
};

// --- BlobStore ---

BlobStore::BlobStore(std::shared_ptr<Impl> impl) : impl_(std::move(impl)) {}
BlobStore::~BlobStore() = default;

Result<std::unique_ptr<BlobStore>> BlobStore::open(Disk& disk, const std::filesystem::path& folder,
                                                   const BlobLimits& limits) {
  auto impl = std::make_shared<Impl>(disk, folder, limits);
  FM_TRY_VOID(impl->load());
  return std::unique_ptr<BlobStore>(new BlobStore(std::move(impl)));
}

Result<Digest> BlobStore::put(ByteView whole) {
  if (whole.size() > impl_->limits().blob_bytes_max)
    return exhausted("a blob has at most " + std::to_string(impl_->limits().blob_bytes_max) +
                     " bytes");
  std::vector<Digest> leaves = crypto::blob_leaves(whole);
  const Digest root = crypto::blob_root(leaves, whole.size());
  if (impl_->touch(root)) {
    FM_TRY_VOID(impl_->flush(root));
    return root;
  }
  FM_TRY(Impl::Draft draft, impl_->new_draft());
  Writer writer(impl_, std::move(draft));
  FM_TRY_VOID(writer.reserve(blob_file_bytes(whole.size())));
  FM_TRY_VOID(writer.append_all(whole, std::move(leaves)));
  return writer.finish();
}

Result<std::unique_ptr<BlobWriter>> BlobStore::create() {
  FM_TRY(Impl::Draft draft, impl_->new_draft());
  return std::unique_ptr<BlobWriter>(std::make_unique<Writer>(impl_, std::move(draft)));
}

Result<std::unique_ptr<BlobReader>> BlobStore::open(const Digest& root, Verify verify) {
  FM_TRY(Impl::Opened opened, impl_->open_file(root));
  auto manifest = read_blob_manifest(*opened.file, root);
  if (!manifest.ok()) {
    if (manifest.error().code == ErrorCode::corruption)
      impl_->drop_damaged(root, opened.generation);
    return manifest.error().with_context("blob " + root.short_hex());
  }
  return std::unique_ptr<BlobReader>(std::make_unique<Reader>(impl_, root, std::move(opened),
                                                              std::move(manifest).value(), verify));
}

Result<Bytes> BlobStore::read_all(const Digest& root, std::uint64_t bytes_max) {
  FM_TRY(const auto reader, open(root));
  if (reader->size() > bytes_max)
    return exhausted("blob " + root.short_hex() + " has " + std::to_string(reader->size()) +
                     " bytes, at most " + std::to_string(bytes_max) + " are read");
  Bytes bytes(reader->size());
  FM_TRY_VOID(reader->read(0, bytes));
  return bytes;
}

bool BlobStore::holds(const Digest& root) const { return impl_->holds(root); }
Result<void> BlobStore::flush(const Digest& root) { return impl_->flush(root); }
std::optional<std::uint64_t> BlobStore::size_of(const Digest& root) const {
  return impl_->size_of(root);
}
Result<bool> BlobStore::begin(const Digest& root, const BlobManifest& manifest, Flush flush) {
  return impl_->begin(root, manifest, flush);
}
Result<bool> BlobStore::add(const Digest& root, std::uint64_t first, ByteView bytes) {
  return impl_->add(root, first, bytes);
}
std::optional<std::uint64_t> BlobStore::next_missing(const Digest& root, std::uint64_t from) const {
  return impl_->next_missing(root, from);
}
std::optional<BlobStore::Progress> BlobStore::progress(const Digest& root) const {
  return impl_->progress(root);
}
std::optional<BlobManifest> BlobStore::partial_manifest(const Digest& root) const {
  return impl_->partial_manifest(root);
}
void BlobStore::suspend(const Digest& root) { impl_->suspend(root); }
void BlobStore::pin(const std::string& owner, std::set<Digest> roots) {
  impl_->pin(owner, std::move(roots));
}
void BlobStore::remove(const Digest& root) { impl_->remove(root); }
void BlobStore::remove_unpinned() { impl_->remove_unpinned(); }
void BlobStore::drop_spares() { impl_->drop_spares(); }
std::set<Digest> BlobStore::roots() const { return impl_->roots(); }
BlobStats BlobStore::stats() const { return impl_->stats(); }
const BlobLimits& BlobStore::limits() const { return impl_->limits(); }

}  // namespace fedmesh::net
