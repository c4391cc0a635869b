// Public blobs on their way from submitters: one at a time per peer, in frames, checked against
// their root. Not thread-safe: owned by the coordinator.
#pragma once

#include <map>

#include "coordinator/protocol/messages.h"
#include "coordinator/rounds/blob_cache.h"

namespace fedmesh::coordinator {

class BlobUploads {
 public:
  static constexpr std::size_t kUploadsMax = 8;  // peers at a time
  static constexpr std::uint64_t kUploadBytesMax = protocol::kMaxEvaluationBytes;

  explicit BlobUploads(rounds::BlobCache& blobs) : blobs_(blobs) {}

  protocol::BlobPutStatus add(const NodeId& peer, const protocol::BlobPut& frame);
  void forget(const NodeId& peer) { uploads_.erase(peer); }

 private:
  struct Upload {
    Digest root;
    std::uint64_t total = 0;
    Bytes bytes;
  };
  rounds::BlobCache& blobs_;
  std::map<NodeId, Upload> uploads_;
};

}  // namespace fedmesh::coordinator
