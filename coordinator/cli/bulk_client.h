// A command's share in the bulk plane: fetches blobs from the coordinator and offers own ones, with
// a temporary folder for what is on its way. Not thread-safe.
#pragma once

#include <condition_variable>
#include <filesystem>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>

#include "base/clock.h"
#include "base/crypto/keys.h"
#include "base/disk.h"
#include "base/random.h"
#include "base/result.h"
#include "net/bulk_plane.h"

namespace fedmesh::cli {

class BulkClient {
 public:
  static Result<std::unique_ptr<BulkClient>> open(const crypto::SigningKey& key,
                                                  const std::string& endpoint, const NodeId& peer);
  ~BulkClient();

  // unavailable: the bulk plane cannot be reached; the detail says where and why.
  Result<void> wait_linked(Duration patience);
  // unavailable: nothing came for as long as `patience`.
  Result<Bytes> fetch(const Digest& root, std::uint64_t bytes_max, Duration patience);
  Result<Digest> offer(ByteView blob);  // served from now on

 private:
  BulkClient() = default;

  SystemClock clock_;
  SystemRandom random_;
  SystemDisk disk_;
  std::filesystem::path folder_;
  NodeId peer_;
  std::string endpoint_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::string dial_failure_;                      // guarded by mutex_
  std::map<Digest, std::optional<Error>> ended_;  // guarded by mutex_; without an error: arrived
  std::unique_ptr<net::BlobStore> store_;
  std::unique_ptr<net::BulkPlane> plane_;  // last: its thread uses all of the above
};

}  // namespace fedmesh::cli
