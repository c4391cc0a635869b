// The inside of BlobStore: the index of what lies in the folder. Internal to blob_store.cpp and
// blob_store_impl.cpp.
// Thread-safe. Files are read, written and flushed without the index's lock; names change under it.
#pragma once

#include <map>
#include <memory>
#include <mutex>
#include <set>
#include <string>
#include <vector>

#include "net/blob_store.h"

namespace fedmesh::net {

class BlobStore::Impl {
 public:
  Impl(Disk& disk, std::filesystem::path folder, const BlobLimits& limits)
      : disk_(disk), folder_(std::move(folder)), limits_(limits) {}
  Result<void> load();

  // A file of a writer, not yet under its root.
  struct Draft {
    std::filesystem::path path;
    std::unique_ptr<DiskFile> file;
    std::uint64_t reserved = 0;  // of the store's room
  };
  Result<Draft> new_draft();
  Result<void> reserve(Draft& draft, std::uint64_t bytes);
  Result<void> commit(Draft& draft, const Digest& root, std::uint64_t total);  // flushed before
  void discard(Draft& draft);

  struct Opened {
    std::unique_ptr<DiskFile> file;
    std::uint64_t generation = 0;
    bool found = false;                  // when the store was opened
    std::shared_ptr<const bool> in_use;  // shared with the index
  };
  Result<Opened> open_file(const Digest& root);
  // Damage was found in what was opened; a blob that has taken its place since stays.
  void drop_damaged(const Digest& root, std::uint64_t generation);

  bool holds(const Digest& root) const;
  Result<void> flush(const Digest& root);
  bool touch(const Digest& root);  // holds(), and it is the youngest now
  std::optional<std::uint64_t> size_of(const Digest& root) const;
  Result<bool> begin(const Digest& root, const BlobManifest& manifest, Flush flush);
  Result<bool> add(const Digest& root, std::uint64_t first, ByteView bytes);
  std::optional<std::uint64_t> next_missing(const Digest& root, std::uint64_t from) const;
  std::optional<Progress> progress(const Digest& root) const;
  std::optional<BlobManifest> partial_manifest(const Digest& root) const;
  void suspend(const Digest& root);
  void pin(const std::string& owner, std::set<Digest> roots);
  void remove(const Digest& root);
  void remove_unpinned();
  void drop_spares();
  std::set<Digest> roots() const;
  BlobStats stats() const;
  const BlobLimits& limits() const { return limits_; }

 private:
  // What of a partial blob is used without the index's lock.
  struct Incoming {
    BlobManifest manifest;  // immutable
    std::mutex mutex;
    std::unique_ptr<DiskFile> file;  // guarded by mutex
    std::uint64_t unflushed = 0;     // guarded by mutex
    Flush flush = Flush::no;         // guarded by mutex
  };
  struct Whole {
    std::uint64_t total = 0;
    std::uint64_t generation = 0;
    std::uint64_t age = 0;  // its place in by_age_
    Flush flushed = Flush::yes;
    bool found = false;  // when the store was opened: nobody has seen its bytes since
    std::shared_ptr<const bool> in_use = std::make_shared<const bool>(true);
    std::weak_ptr<const Incoming> incoming{};  // while a late add() may still write to its file
  };
  struct Partial {
    std::shared_ptr<Incoming> incoming;
    std::vector<bool> there;
    std::uint64_t missing = 0;   // leaves
    std::uint64_t received = 0;  // bytes
    std::uint64_t age = 0;
    bool active = false;
  };

  void load_whole(const Digest& root);
  void load_partial(const Digest& root);
  Result<bool> finish(const Digest& root, const std::shared_ptr<Incoming>& incoming);

  // With mutex_ held:
  std::filesystem::path path_of(const Digest& root) const { return folder_ / root.hex(); }
  std::filesystem::path part_of(const Digest& root) const {
    return folder_ / (root.hex() + kPartSuffix);
  }
  Partial* partial_of(const Digest& root, const std::shared_ptr<Incoming>& incoming);
  bool pinned(const Digest& root) const;
  Result<void> make_room(std::uint64_t bytes);
  Result<void> name(const std::filesystem::path& from, const Digest& root, Flush flush);
  void insert(const Digest& root, std::uint64_t total, Flush flushed);
  void drop_whole(const Digest& root);
  bool spare_whole(const Digest& root);  // drops it, but keeps its file; false: it is still there
  Result<std::unique_ptr<DiskFile>> open_part(const Digest& root, std::uint64_t bytes);
  void drop_spare(std::multimap<std::uint64_t, std::filesystem::path>::iterator which);
  void drop_partial(const Digest& root);
  bool forget_partial(const Digest& root);  // but not its file
  std::optional<Digest> oldest_suspended() const;
  std::optional<Digest> oldest_unpinned() const;

  Disk& disk_;
  const std::filesystem::path folder_;
  const BlobLimits limits_;

  mutable std::mutex mutex_;
  // Guarded by mutex_ (and the calls of disk_):
  std::map<Digest, Whole> whole_;
  std::map<std::uint64_t, Digest> by_age_;  // of whole_
  std::map<Digest, Partial> partial_;
  std::map<std::string, std::set<Digest>> pins_;
  std::multimap<std::uint64_t, std::filesystem::path> spares_;  // by length
  std::uint64_t spare_bytes_ = 0;                               // of them
  std::uint64_t bytes_ = 0;  // files of whole_, partial_ and spares_, and what drafts reserved
  std::uint64_t next_ = 1;   // generations, ages and names of drafts
};

}  // namespace fedmesh::net
