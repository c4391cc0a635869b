// How far a ledger goes, kept beside the database and flushed after its blocks. A database that
// ends below its mark lost blocks that were final, whatever the reason.
#pragma once

#include <filesystem>
#include <memory>
#include <optional>

#include "base/codec/codec.h"
#include "base/ids.h"
#include "base/result.h"

namespace rocksdb {
class FileSystem;
class FSRandomRWFile;
}  // namespace rocksdb

namespace fedmesh::ledger {

struct HeadPosition {
  ChainId chain;
  Height height;
  Digest hash;  // of the block's header; the chain id's bytes at height 0
  friend bool operator==(const HeadPosition&, const HeadPosition&) = default;
  FM_FIELDS(chain, height, hash)
};

// Two slots in different sectors, written in turn, so that a torn write leaves the other one.
// Not thread-safe: owned by the store. `files` outlives it.
class HeadMark {
 public:
  // Nothing where there is no file. corruption: neither slot is readable.
  static Result<std::optional<HeadPosition>> read(rocksdb::FileSystem& files,
                                                  const std::filesystem::path& path);
  // Durable with its name before it returns; replaces what is there.
  static Result<void> create(rocksdb::FileSystem& files, const std::filesystem::path& path,
                             const HeadPosition& position);
  // corruption: as read().
  static Result<HeadMark> open(rocksdb::FileSystem& files, const std::filesystem::path& path);
  HeadMark(HeadMark&& other) noexcept;
  HeadMark& operator=(HeadMark&& other) noexcept;
  ~HeadMark();

  Result<void> write(const HeadPosition& position, bool flush);

 private:
  HeadMark(std::filesystem::path path, std::unique_ptr<rocksdb::FSRandomRWFile> file,
           std::size_t newest);

  std::filesystem::path path_;
  std::unique_ptr<rocksdb::FSRandomRWFile> file_;
  std::size_t newest_;  // slot
};

}  // namespace fedmesh::ledger
