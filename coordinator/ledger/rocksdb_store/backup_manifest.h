// What a backup consists of: the last file that is written, the first that is read.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "base/bytes.h"
#include "base/disk.h"
#include "base/ids.h"
#include "base/result.h"

namespace fedmesh::ledger {

inline constexpr const char* kBackupManifest = "manifest";
inline constexpr const char* kBackupGenesis = "genesis.fm";
inline constexpr const char* kBackupLedger = "ledger.export";
inline constexpr const char* kBackupKey = "node.key";
inline constexpr const char* kBackupBlobs = "blobs";  // a folder

struct BackupFile {
  std::string name;  // one of the above, or blobs/NAME
  std::uint64_t bytes = 0;
  Digest sha256;
  friend bool operator==(const BackupFile&, const BackupFile&) = default;
};

struct BackupManifest {
  ChainId chain;
  Height height;
  Digest head;  // of the newest block; the chain id's bytes at height 0
  std::vector<BackupFile> files;
  friend bool operator==(const BackupManifest&, const BackupManifest&) = default;

  bool names(const std::string& file) const;
  std::uint64_t bytes() const;  // of all files together
  std::size_t blobs() const;    // how many
};

// Text; its last line is the hash of the lines before it, so that no byte changes unnoticed.
Bytes encode_backup_manifest(const BackupManifest& manifest);
Result<BackupManifest> decode_backup_manifest(ByteView bytes);  // corruption

// Size and hash of a file, read to its end.
Result<BackupFile> measure_file(Disk& disk, const std::filesystem::path& path, std::string name);
// The same while copying it; the copy is flushed, as `contents`. It may not exist yet.
Result<BackupFile> copy_measured(Disk& disk, const std::filesystem::path& from,
                                 const std::filesystem::path& to, std::string name,
                                 SyncPoint contents);

}  // namespace fedmesh::ledger
