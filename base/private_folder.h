// A folder of small private files: written whole or not at all, flushed before the call returns,
// readable by their owner alone, gone for good once erased. A digest of name and contents stands
// behind each: a disk that changes a byte must not change what a node has promised or spent.
#pragma once

#include <filesystem>
#include <map>
#include <string>

#include "base/bytes.h"
#include "base/disk.h"
#include "base/result.h"

namespace fedmesh {

// Not thread-safe: owned by the host. One process at a time: take a FolderLock. `disk` outlives it.
class PrivateFolder {
 public:
  static constexpr std::uint64_t kItemBytesMax = 300u << 20;

  static Result<PrivateFolder> open(Disk& disk, std::filesystem::path folder);

  // name -> contents of every item but those whose name begins with `without`. What was being
  // written when an earlier process ended never counted, and is removed. corruption: an item is not
  // what was written; the detail names the file.
  Result<std::map<std::string, Bytes>> load(const std::string& without = "") const;
  Result<void> write(const std::string& name, ByteView bytes);
  // Without a digest: for files that others read and that prove themselves. load() refuses them.
  Result<void> write_plain(const std::string& name, ByteView bytes);
  Result<void> erase(const std::string& name);  // ok where there is none

 private:
  PrivateFolder(Disk& disk, std::filesystem::path folder)
      : disk_(&disk), folder_(std::move(folder)) {}

  Disk* disk_;
  std::filesystem::path folder_;
};

}  // namespace fedmesh
