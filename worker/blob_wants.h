// Public blobs that this worker's duties need: asked of the host once each, kept in memory while
// they are wanted.
// Not thread-safe: owned by the worker.
#pragma once

#include <cstdint>
#include <map>
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
  void ask_again();                          // for all that are still wanted

  std::vector<Fetch> take_new();  // wants that nobody was asked for yet
  // Forgets every blob and want that is not named.
  void keep_only(const std::set<Digest>& roots);
  bool is_wanted(const Digest& root) const { return wanted_.contains(root); }

 private:
  struct Want {
    std::uint64_t bytes_max = 0;
    bool asked = false;
  };
  std::map<Digest, Bytes> held_;
  std::map<Digest, Want> wanted_;
};

}  // namespace fedmesh::worker
