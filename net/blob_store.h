// Blobs on disk under their content address (base/crypto/blob_hash.h): whole ones, which this node
// holds and serves, and partial ones on their way here.
//
// What counts as held is flushed, contents and name, unless whoever began it said that it can be
// fetched again (Flush::no): then a power failure may take it back or damage it, which the leaves
// tell. The end of the process harms neither. Partial blobs survive a restart of the
// process: their leaves stand beside the data and every chunk that is there is hashed again when
// the folder is opened, so neither a file's name nor its contents are trusted.
//
// A blob stays while an owner pins its root. Room for new ones comes first from spare files, then
// from partial blobs that nobody receives any more, then from the oldest unpinned whole ones.
//
// Thread-safe. The folder is used by one store at a time. Calls of `disk` are made under a lock,
// those of its open files by one thread per file, files of different blobs at the same time.
#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "base/bytes.h"
#include "base/disk.h"
#include "base/ids.h"
#include "base/result.h"

namespace fedmesh::net {

struct BlobLimits {
  std::uint64_t bytes_max = 4ull << 30;  // of all files, whole and partial
  std::uint64_t blob_bytes_max = 2ull << 30;
  std::size_t blobs_max = 65536;
  std::size_t partial_max = 256;
  std::uint64_t spare_bytes_max = 1ull << 30;  // of files kept to be written over
};

struct BlobStats {
  std::uint64_t bytes = 0;  // of files, with their leaves; partial ones count in full
  std::size_t blobs = 0;
  std::size_t partial = 0;
  std::uint64_t spare_bytes = 0;  // of `bytes`
};

// What a blob consists of; blob_root(leaves, total) is its root.
struct BlobManifest {
  std::uint64_t total = 0;
  std::vector<Digest> leaves;
};

// A whole blob, open for reading. It can be read to the end even if it is removed meanwhile.
// Not thread-safe: each thread opens its own.
class BlobReader {
 public:
  virtual ~BlobReader() = default;
  virtual std::uint64_t size() const = 0;
  virtual const BlobManifest& manifest() const = 0;
  // Fills `to`. A leaf that is to be checked is when this reader first takes a byte from it;
  // corruption: it was damaged on the disk, and the store has dropped the blob. invalid_argument:
  // beyond the end.
  virtual Result<void> read(std::uint64_t offset, MutableByteView to) = 0;
  // Every leaf is checked again, or for the first time, when it is read next.
  virtual void doubt() = 0;
};

// A blob that is being made, without knowing its root or length before. What was appended is gone
// unless finish() succeeds. Not thread-safe. After an error it is of no use.
class BlobWriter {
 public:
  virtual ~BlobWriter() = default;
  virtual Result<void> append(ByteView bytes) = 0;  // exhausted: no room, or the disk is full
  virtual Result<Digest> finish() = 0;              // durable on return; called once
};

// Whether a received blob is held only when it is flushed. `no` is for what somebody keeps for as
// long as it may be needed here.
enum class Flush : bool { no, yes };

// Which leaves a reader checks. `no` is for who authenticates every byte itself; `found` for who is
// told where they do not: it leaves out blobs that this store received or made, checking them,
// since it was opened.
enum class Verify { no, found, leaves };

class BlobStore {
 public:
  // Creates the folder, takes stock, removes what is unfinished or damaged beyond use. Hashes the
  // partial blobs. `disk` outlives the store and everything it hands out.
  static Result<std::unique_ptr<BlobStore>> open(Disk& disk, const std::filesystem::path& folder,
                                                 const BlobLimits& limits = {});
  ~BlobStore();

  // Durable on return. exhausted: pinned blobs leave no room, or the disk is full.
  Result<Digest> put(ByteView whole);
  Result<std::unique_ptr<BlobWriter>> create();

  bool holds(const Digest& root) const;
  std::optional<std::uint64_t> size_of(const Digest& root) const;  // of one that it holds
  Result<std::unique_ptr<BlobReader>> open(const Digest& root,
                                           Verify verify = Verify::leaves);  // not_found
  // Of a blob that was received without: it is flushed on return. not_found. If the disk fails, the
  // blob is given up: nobody knows what a second flush would be worth.
  Result<void> flush(const Digest& root);
  // exhausted where it is longer than `bytes_max`. corruption: as BlobReader::read().
  Result<Bytes> read_all(const Digest& root, std::uint64_t bytes_max);

  // --- receiving ---
  // Begins or resumes it; true: it is held already, nothing is missing. Once Flush::yes was asked
  // for, it is not held without. invalid_argument: the manifest is not the root's, or above the
  // limits. exhausted: no room.
  Result<bool> begin(const Digest& root, const BlobManifest& manifest, Flush flush = Flush::yes);
  // Whole leaves from `first` on; true: nothing is missing any more, and the blob is held now.
  // Those that are there already are ignored. corruption: not the bytes of those leaves; nothing
  // is written. not_found: never begun, or given up. Every other error is the disk's, and the
  // partial blob is given up.
  Result<bool> add(const Digest& root, std::uint64_t first, ByteView bytes);
  // The first leaf at or after `from` that is not there; none also where nothing was begun.
  std::optional<std::uint64_t> next_missing(const Digest& root, std::uint64_t from) const;
  struct Progress {
    std::uint64_t received = 0;  // bytes
    std::uint64_t total = 0;
  };
  std::optional<Progress> progress(const Digest& root) const;  // of a partial one
  // The manifest of a partial one, also from before a restart.
  std::optional<BlobManifest> partial_manifest(const Digest& root) const;
  // Nobody receives it at the moment: it stays until the room is needed or begin() resumes it.
  void suspend(const Digest& root);

  // --- keeping ---
  // Replaces what this owner wants kept, whether it is here or not: pin first, then put or fetch.
  // Pins are not stored: owners pin anew after a restart, before anything is put.
  void pin(const std::string& owner, std::set<Digest> roots);
  // Whole or partial, pinned or not. The file of a large one may stay to be written over by the
  // next blob of its size: updates of a job are equally long, and pages that the system has at hand
  // cost a fraction of fresh ones.
  void remove(const Digest& root);
  void drop_spares();              // such files; at the latest when the next update is far away
  void remove_unpinned();          // whole blobs without a pin and suspended partial ones
  std::set<Digest> roots() const;  // of the blobs that it holds
  BlobStats stats() const;
  const BlobLimits& limits() const;

 private:
  class Impl;
  class Reader;
  class Writer;
  explicit BlobStore(std::shared_ptr<Impl> impl);
  std::shared_ptr<Impl> impl_;
};

}  // namespace fedmesh::net
