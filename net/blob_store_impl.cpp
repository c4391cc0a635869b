#include "net/blob_store_impl.h"

#include <algorithm>

#include "base/crypto/blob_hash.h"
#include "net/blob_file.h"

namespace fedmesh::net {
namespace {

// A flush at the end alone would keep the bulk thread from its links for as long as the disk needs
// for a whole blob.
constexpr std::uint64_t kUnflushedMax = 32u << 20;

// The root that a file's name stands for, if it is one.
std::optional<Digest> root_named(std::string_view name) {
  const auto root = Digest::from_hex(name);
  if (!root.ok() || root->hex() != name) return std::nullopt;
  return *root;
}

// Whether that many bytes from leaf `first` on are whole leaves of the blob.
Result<void> check_place(const BlobManifest& manifest, const Digest& root, std::uint64_t first,
                         std::uint64_t bytes) {
  const std::uint64_t leaves = manifest.leaves.size();
  if (first < leaves && bytes > 0) {
    const std::uint64_t rest = manifest.total - first * crypto::kBlobLeafBytes;
    if (bytes == rest || (bytes < rest && bytes % crypto::kBlobLeafBytes == 0)) return {};
  }
  return corruption("chunk " + std::to_string(first) + " of blob " + root.short_hex() +
                    " has another length");
}

}  // namespace

Result<void> BlobStore::Impl::load() {
  const std::lock_guard lock(mutex_);
  FM_TRY_VOID(disk_.create_folders(folder_));
  FM_TRY(const std::vector<std::string> names, disk_.list(folder_));
  const std::string_view suffix = kPartSuffix;
  for (const std::string& name : names)
    if (const auto root = root_named(name)) load_whole(*root);
  // A process that was killed may have renamed a file without flushing the folder.
  FM_TRY_VOID(disk_.sync_folder(folder_, SyncPoint::blob_folder));
  for (const std::string& name : names) {
    if (!name.ends_with(suffix)) continue;
    const auto root = root_named(std::string_view(name).substr(0, name.size() - suffix.size()));
    if (root && !whole_.contains(*root)) {
      load_partial(*root);
    } else {
      FM_TRY_VOID(disk_.remove(folder_ / name));
    }
  }
  return {};
}

void BlobStore::Impl::load_whole(const Digest& root) {
  const auto file = disk_.open(path_of(root), Disk::Mode::read);
  if (!file.ok()) return;
  const auto manifest = read_blob_manifest(**file, root);
  if (manifest.ok()) {
    bytes_ += blob_file_bytes(manifest->total);
    insert(root, manifest->total, Flush::no);  // whether it was is not known
    whole_.at(root).found = true;
  } else if (manifest.error().code == ErrorCode::corruption) {
    (void)disk_.remove(path_of(root));
  }
}

// The file itself says which of its leaves are there: no list beside it could be newer or older.
void BlobStore::Impl::load_partial(const Digest& root) {
  auto file = disk_.open(part_of(root), Disk::Mode::update);
  if (!file.ok()) return;
  auto manifest = read_blob_manifest(**file, root);
  if (!manifest.ok()) {
    (void)disk_.remove(part_of(root));
    return;
  }
  Partial partial;
  partial.incoming = std::make_shared<Incoming>();
  partial.there.resize(manifest->leaves.size());
  Bytes leaf;
  std::vector<bool> checked(manifest->leaves.size());
  for (std::uint64_t i = 0; i < manifest->leaves.size(); ++i) {
    leaf.resize(crypto::blob_leaf_bytes(manifest->total, i));
    partial.there[i] =
        read_blob_checked(**file, *manifest, i * crypto::kBlobLeafBytes, leaf, checked).ok();
    if (partial.there[i]) partial.received += leaf.size();
    if (!partial.there[i]) ++partial.missing;
  }
  bytes_ += blob_file_bytes(manifest->total);
  partial.incoming->manifest = std::move(manifest).value();
  partial.incoming->file = std::move(file).value();
  partial.age = next_++;
  partial_.emplace(root, std::move(partial));
}

Result<BlobStore::Impl::Draft> BlobStore::Impl::new_draft() {
  const std::lock_guard lock(mutex_);
  Draft draft;
  draft.path = folder_ / ("new-" + std::to_string(next_++) + kPartSuffix);
  FM_TRY(draft.file, disk_.open(draft.path, Disk::Mode::create));
  return draft;
}

Result<void> BlobStore::Impl::reserve(Draft& draft, std::uint64_t bytes) {
  const std::lock_guard lock(mutex_);
  FM_TRY_VOID(make_room(bytes));
  bytes_ += bytes;
  draft.reserved += bytes;
  return {};
}

Result<void> BlobStore::Impl::commit(Draft& draft, const Digest& root, std::uint64_t total) {
  std::unique_lock lock(mutex_);
  if (whole_.contains(root)) {  // somebody else was faster; the draft is discarded
    lock.unlock();
    return flush(root);
  }
  FM_TRY_VOID(name(draft.path, root, Flush::yes));
  drop_partial(root);
  draft.path.clear();
  bytes_ -= draft.reserved;
  draft.reserved = 0;
  bytes_ += blob_file_bytes(total);
  insert(root, total, Flush::yes);
  return {};
}

void BlobStore::Impl::discard(Draft& draft) {
  const std::lock_guard lock(mutex_);
  bytes_ -= draft.reserved;
  draft.reserved = 0;
  if (!draft.path.empty()) (void)disk_.remove(draft.path);
}

Result<BlobStore::Impl::Opened> BlobStore::Impl::open_file(const Digest& root) {
  const std::lock_guard lock(mutex_);
  const auto found = whole_.find(root);
  if (found == whole_.end()) return not_found("blob " + root.short_hex() + " is not here");
  Opened opened;
  opened.generation = found->second.generation;
  opened.found = found->second.found;
  auto file = disk_.open(path_of(root), Disk::Mode::read);
  if (!file.ok()) {
    if (file.error().code == ErrorCode::not_found) drop_whole(root);  // somebody removed the file
    return file.error();
  }
  opened.file = std::move(file).value();
  by_age_.erase(found->second.age);
  found->second.age = next_++;
  by_age_.emplace(found->second.age, root);
  opened.in_use = found->second.in_use;
  return opened;
}

void BlobStore::Impl::drop_damaged(const Digest& root, std::uint64_t generation) {
  const std::lock_guard lock(mutex_);
  const auto found = whole_.find(root);
  if (found != whole_.end() && found->second.generation == generation) drop_whole(root);
}

bool BlobStore::Impl::holds(const Digest& root) const {
  const std::lock_guard lock(mutex_);
  return whole_.contains(root);
}

Result<void> BlobStore::Impl::flush(const Digest& root) {
  std::unique_lock lock(mutex_);
  const auto found = whole_.find(root);
  if (found == whole_.end()) return not_found("blob " + root.short_hex() + " is not here");
  if (found->second.flushed == Flush::yes) return {};
  const std::uint64_t generation = found->second.generation;
  const auto in_use = found->second.in_use;
  const auto file = disk_.open(path_of(root), Disk::Mode::update);
  if (!file.ok()) {
    if (file.error().code == ErrorCode::not_found) drop_whole(root);  // somebody removed the file
    return file.error();
  }
  lock.unlock();
  auto status = (*file)->sync(SyncPoint::blob_data);
  lock.lock();
  const auto now = whole_.find(root);
  if (now == whole_.end() || now->second.generation != generation)
    return not_found("blob " + root.short_hex() + " was removed meanwhile");
  if (status.ok()) status = disk_.sync_folder(folder_, SyncPoint::blob_folder);
  if (status.ok()) {
    now->second.flushed = Flush::yes;
  } else {
    drop_whole(root);  // what stands in the file is not known, and a second flush would not say so
  }
  return status;
}

bool BlobStore::Impl::touch(const Digest& root) {
  const std::lock_guard lock(mutex_);
  const auto found = whole_.find(root);
  if (found == whole_.end()) return false;
  by_age_.erase(found->second.age);
  found->second.age = next_++;
  by_age_.emplace(found->second.age, root);
  return true;
}

std::optional<std::uint64_t> BlobStore::Impl::size_of(const Digest& root) const {
  const std::lock_guard lock(mutex_);
  const auto found = whole_.find(root);
  if (found == whole_.end()) return std::nullopt;
  return found->second.total;
}

Result<bool> BlobStore::Impl::begin(const Digest& root, const BlobManifest& manifest, Flush flush) {
  if (manifest.total > limits_.blob_bytes_max)
    return invalid_argument("a blob of " + std::to_string(manifest.total) + " bytes; at most " +
                            std::to_string(limits_.blob_bytes_max) + " are kept");
  if (manifest.leaves.size() != crypto::blob_leaf_count(manifest.total) ||
      crypto::blob_root(manifest.leaves, manifest.total) != root)
    return invalid_argument("the leaves are not those of blob " + root.short_hex());
  std::unique_lock lock(mutex_);
  if (whole_.contains(root)) {
    lock.unlock();
    if (flush == Flush::yes) FM_TRY_VOID(this->flush(root));
    return true;
  }
  auto found = partial_.find(root);
  if (found == partial_.end()) {
    while (partial_.size() >= limits_.partial_max) {
      const auto oldest = oldest_suspended();
      if (!oldest)
        return exhausted(std::to_string(partial_.size()) + " blobs are being received already");
      drop_partial(*oldest);
    }
    FM_TRY_VOID(make_room(blob_file_bytes(manifest.total)));
    Partial partial;
    partial.incoming = std::make_shared<Incoming>();
    partial.incoming->manifest = manifest;
    partial.incoming->flush = flush;
    partial.there.resize(manifest.leaves.size());
    partial.missing = manifest.leaves.size();
    FM_TRY(partial.incoming->file, open_part(root, blob_file_bytes(manifest.total)));
    const auto written =
        partial.incoming->file->write(manifest.total, encode_blob_trailer(manifest));
    if (!written.ok()) {
      (void)disk_.remove(part_of(root));
      return written.error();
    }
    bytes_ += blob_file_bytes(manifest.total);
    found = partial_.emplace(root, std::move(partial)).first;
  }
  found->second.active = true;
  found->second.age = next_++;
  const bool complete = found->second.missing == 0;
  const auto incoming = found->second.incoming;
  lock.unlock();
  {
    const std::lock_guard file_lock(incoming->mutex);
    if (flush == Flush::yes) incoming->flush = Flush::yes;
  }
  if (!complete) return false;
  return finish(root, incoming);
}

Result<bool> BlobStore::Impl::add(const Digest& root, std::uint64_t first, ByteView bytes) {
  const std::uint64_t count = crypto::blob_leaf_count(bytes.size());
  const auto is_new = [&](const std::vector<bool>& there) {
    for (std::uint64_t i = first; i < first + count; ++i)
      if (!there[i]) return true;
    return false;
  };
  std::shared_ptr<Incoming> incoming;
  {
    const std::lock_guard lock(mutex_);
    if (whole_.contains(root)) return false;
    const auto found = partial_.find(root);
    if (found == partial_.end())
      return not_found("blob " + root.short_hex() + " is not being received");
    incoming = found->second.incoming;
    FM_TRY_VOID(check_place(incoming->manifest, root, first, bytes.size()));
    if (!is_new(found->second.there)) return false;
  }
  const std::vector<Digest> leaves = crypto::blob_leaves(bytes);
  if (!std::equal(leaves.begin(), leaves.end(),
                  incoming->manifest.leaves.begin() + static_cast<std::ptrdiff_t>(first)))
    return corruption("chunk " + std::to_string(first) + " of blob " + root.short_hex() +
                      " or one after it is not what its leaf says");
  Result<void> written;
  {
    const std::lock_guard file_lock(incoming->mutex);
    written = incoming->file->write(first * crypto::kBlobLeafBytes, bytes);
    incoming->unflushed += bytes.size();
    if (written.ok() && incoming->flush == Flush::yes && incoming->unflushed >= kUnflushedMax) {
      written = incoming->file->sync(SyncPoint::blob_data);
      incoming->unflushed = 0;
    }
  }
  {
    const std::lock_guard lock(mutex_);
    Partial* partial = partial_of(root, incoming);
    if (partial == nullptr) {
      if (whole_.contains(root)) return false;  // it came another way meanwhile
      return not_found("blob " + root.short_hex() + " was given up");
    }
    if (!written.ok()) {
      drop_partial(root);
      return written.error();
    }
    if (!is_new(partial->there)) return false;
    for (std::uint64_t i = first; i < first + count; ++i) {
      if (partial->there[i]) continue;
      partial->there[i] = true;
      partial->received += crypto::blob_leaf_bytes(incoming->manifest.total, i);
      --partial->missing;
    }
    if (partial->missing > 0) return false;
  }
  return finish(root, incoming);
}

// All leaves were written: the contents are flushed, then they get their name.
Result<bool> BlobStore::Impl::finish(const Digest& root,
                                     const std::shared_ptr<Incoming>& incoming) {
  Result<void> status;
  Flush flush = Flush::yes;
  {
    const std::lock_guard file_lock(incoming->mutex);
    flush = incoming->flush;
    if (flush == Flush::yes) status = incoming->file->sync(SyncPoint::blob_data);
  }
  std::unique_lock lock(mutex_);
  if (whole_.contains(root)) {
    lock.unlock();
    if (flush == Flush::yes) FM_TRY_VOID(this->flush(root));
    return true;
  }
  if (partial_of(root, incoming) == nullptr)
    return not_found("blob " + root.short_hex() + " was given up");
  if (status.ok()) status = name(part_of(root), root, flush);
  if (!status.ok()) {
    drop_partial(root);
    return status.error();
  }
  forget_partial(root);
  bytes_ += blob_file_bytes(incoming->manifest.total);
  insert(root, incoming->manifest.total, flush);
  whole_.at(root).incoming = incoming;
  return true;
}

std::optional<std::uint64_t> BlobStore::Impl::next_missing(const Digest& root,
                                                           std::uint64_t from) const {
  const std::lock_guard lock(mutex_);
  const auto found = partial_.find(root);
  if (found == partial_.end()) return std::nullopt;
  const std::vector<bool>& there = found->second.there;
  if (from >= there.size()) return std::nullopt;
  const auto next =
      std::find(there.begin() + static_cast<std::ptrdiff_t>(from), there.end(), false);
  if (next == there.end()) return std::nullopt;
  return static_cast<std::uint64_t>(next - there.begin());
}

std::optional<BlobStore::Progress> BlobStore::Impl::progress(const Digest& root) const {
  const std::lock_guard lock(mutex_);
  const auto found = partial_.find(root);
  if (found == partial_.end()) return std::nullopt;
  return Progress{found->second.received, found->second.incoming->manifest.total};
}

std::optional<BlobManifest> BlobStore::Impl::partial_manifest(const Digest& root) const {
  const std::lock_guard lock(mutex_);
  const auto found = partial_.find(root);
  if (found == partial_.end()) return std::nullopt;
  return found->second.incoming->manifest;
}

void BlobStore::Impl::suspend(const Digest& root) {
  const std::lock_guard lock(mutex_);
  const auto found = partial_.find(root);
  if (found != partial_.end()) found->second.active = false;
}

}  // namespace fedmesh::net
