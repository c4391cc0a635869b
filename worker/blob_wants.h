// Public blobs that this worker's duties need: asked of the host once each, kept in memory while
// they are wanted.
// Not thread-safe: owned by the worker.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <vector>

#include "base/bytes.h"
#include "base/ids.h"

namespace fedmesh::worker {

class BlobWants {
 public:
  struct Fetch {
    Digest root;
    std::uint64_t bytes_max = 0;  // what a valid blob can have
  };

  // The blob, or nullptr: it is then asked for. Valid until keep_only().
  const Bytes* want(const Digest& root, std::uint64_t bytes_max);
  void put(const Digest& root, Bytes blob);  // it arrived, or this worker made it itself
  void failed(const Digest& root);           // it is asked for anew after ask_again()
  void ask_again();

  std::vector<Fetch> take_new();  // wants that nobody was asked for yet
  // Forgets every blob and want that is not named.
  void keep_only(const std::set<Digest>& roots);
  // What a wanted blob can have; nothing: it is not wanted.
  std::optional<std::uint64_t> bytes_max(const Digest& root) const;

 private:
  struct Want {
    std::uint64_t bytes_max = 0;
    bool asked = false;
    bool failed = false;
  };
  std::map<Digest, Bytes> held_;
  std::map<Digest, Want> wanted_;
};

}  // namespace fedmesh::worker
