// Public blobs on their way to this worker and those that it holds. A blob is asked for in frames,
// in order, a few at a time; it counts only once its root has been recomputed. Progress survives a
// lost link.
// Not thread-safe: owned by the worker.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <vector>

#include "base/bytes.h"
#include "base/clock.h"
#include "base/ids.h"
#include "base/result.h"
#include "coordinator/protocol/messages.h"

namespace fedmesh::worker {

class BlobFetcher {
 public:
  static constexpr std::uint64_t kWindowBytes = 8 * protocol::kFrameBytes;  // asked for at once
  static constexpr Duration kRetry{2000};  // after "missing", and when nothing comes

  // The blob, or nullptr: it is then being fetched, as long as it is wanted. `bytes_max` is what a
  // valid blob can have. Valid until keep_only().
  const Bytes* want(const Digest& root, std::uint64_t bytes_max);
  void put(Bytes blob);  // one that this worker made itself

  // Requests that are due. Called after every event, with the link up.
  std::vector<protocol::BlobRequest> requests(Instant now);
  void link_lost();

  // An error is the peer's fault: a frame that nobody asked for in this form. Frames and refusals
  // of blobs that are no longer wanted are ignored. True: a blob is now complete.
  Result<bool> receive(Instant now, const protocol::BlobFrame& frame);
  void receive(Instant now, const protocol::BlobMissing& missing);

  // Forgets every blob and transfer that is not named.
  void keep_only(const std::set<Digest>& roots);

  // Received and in all, of an unfinished transfer; all is 0 until known.
  std::optional<std::pair<std::uint64_t, std::uint64_t>> progress(const Digest& root) const;
  std::optional<Instant> next_wake() const;

 private:
  struct Transfer {
    std::uint64_t bytes_max = 0;
    std::uint64_t total = 0;  // 0: not known yet
    std::uint64_t asked = 0;  // up to here
    Bytes bytes;
    Instant retry_at;      // nothing is asked before; and asked again if nothing came
    bool waiting = false;  // requests are out
    bool refused = false;  // this peer lied about it: the next link is asked
  };
  std::map<Digest, Bytes> held_;
  std::map<Digest, Transfer> transfers_;
};

}  // namespace fedmesh::worker
