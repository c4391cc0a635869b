// The folder in which a worker's persisted items are files: written whole or not at all, flushed
// before the call returns, readable by their owner alone.
#pragma once

#include <filesystem>
#include <string>

#include "base/bytes.h"
#include "base/result.h"
#include "worker/worker.h"

namespace fedmesh::worker {

// Not thread-safe: owned by the host. Holds a lock on the folder as long as it lives.
class ItemFolder {
 public:
  static constexpr std::size_t kItemBytesMax = 300u << 20;

  // unavailable: cannot be created, or another worker uses it.
  static Result<ItemFolder> open(const std::filesystem::path& folder);
  ItemFolder(ItemFolder&& other) noexcept;
  ItemFolder& operator=(ItemFolder&&) = delete;
  ~ItemFolder();

  Result<PersistedItems> load() const;
  Result<void> write(const std::string& name, ByteView bytes);
  Result<void> erase(const std::string& name);  // no error where there is none

 private:
  ItemFolder(std::filesystem::path folder, int lock) : folder_(std::move(folder)), lock_(lock) {}
  std::filesystem::path folder_;
  int lock_;
};

}  // namespace fedmesh::worker
