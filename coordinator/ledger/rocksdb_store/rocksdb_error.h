// RocksDB's outcomes as errors that say what to do. Internal to this folder.
#pragma once

#include <rocksdb/status.h>

#include <filesystem>
#include <string>

#include "base/result.h"

namespace fedmesh::ledger {

// `status` is not ok.
inline Error rocksdb_error(const rocksdb::Status& status, const std::string& doing,
                           const std::filesystem::path& path) {
  const std::string what = doing + " " + path.string() + ": " + status.ToString();
  if (status.IsCorruption() || status.IsInvalidArgument())
    return corruption(what +
                      "; a file there is damaged and nothing was changed: look at the disk, then "
                      "put back a good copy that has every block (fedmesh ledger restore)");
  if (status.IsNoSpace())
    return exhausted(what +
                     "; the disk is full: free space there and start again, nothing that "
                     "was final is lost");
  return unavailable(what + "; nothing that was final is lost");
}

}  // namespace fedmesh::ledger
