#include "coordinator/cli/bulk_client.h"

#include <cerrno>
#include <cstdlib>
#include <cstring>

namespace fedmesh::cli {

Result<std::unique_ptr<BulkClient>> BulkClient::open(const crypto::SigningKey& key,
                                                     const std::string& endpoint,
                                                     const NodeId& peer) {
  std::unique_ptr<BulkClient> self(new BulkClient());
  std::error_code error;
  std::string pattern =
      (std::filesystem::temp_directory_path(error) / "fedmesh-blobs-XXXXXX").string();
  if (error || ::mkdtemp(pattern.data()) == nullptr)
    return unavailable("make a temporary folder " + pattern + ": " +
                       (error ? error.message() : std::strerror(errno)));
  self->folder_ = pattern;
  self->peer_ = peer;
  self->endpoint_ = endpoint;
  FM_TRY(self->store_, net::BlobStore::open(self->disk_, self->folder_));
  BulkClient* raw = self.get();
  self->plane_ = net::BulkPlane::create(
      key.clone(), *self->store_, net::BulkConfig(), self->clock_, self->random_,
      [raw](const net::BulkEvent& event) {
        const std::lock_guard lock(raw->mutex_);
        if (const auto* arrived = std::get_if<net::bulk::Arrived>(&event)) {
          raw->ended_[arrived->root] = std::nullopt;
        } else if (const auto* failed = std::get_if<net::bulk::Failed>(&event)) {
          raw->ended_[failed->root] = failed->reason;
        } else if (const auto* dial = std::get_if<net::bulk::DialFailed>(&event)) {
          raw->dial_failure_ = dial->reason;
        }
        raw->changed_.notify_all();
      },
      [peer](const NodeId& who) { return who == peer; });
  FM_TRY_VOID(self->plane_->dial(endpoint, peer));
  return self;
}

BulkClient::~BulkClient() {
  if (plane_) plane_->stop();
  store_.reset();
  std::error_code ignored;
  if (!folder_.empty()) std::filesystem::remove_all(folder_, ignored);
}

Result<void> BulkClient::wait_linked(Duration patience) {
  const Instant deadline = clock_.now() + patience;
  std::unique_lock lock(mutex_);
  while (!plane_->peers().contains(peer_)) {
    if (clock_.now() >= deadline)
      return unavailable("the coordinator's bulk plane at " + endpoint_ + " cannot be reached" +
                         (dial_failure_.empty() ? "" : " (" + dial_failure_ + ")") +
                         "; is that port open, and is it on the host that --coordinator names?");
    changed_.wait_for(lock, std::chrono::milliseconds(50));
  }
  return {};
}

Result<Bytes> BulkClient::fetch(const Digest& root, std::uint64_t bytes_max, Duration patience) {
  FM_TRY_VOID(wait_linked(patience));
  plane_->want(root, bytes_max, {peer_});
  Instant deadline = clock_.now() + patience;
  std::uint64_t received = 0;
  std::unique_lock lock(mutex_);
  while (!ended_.contains(root)) {
    changed_.wait_for(lock, std::chrono::milliseconds(100));
    const auto progress = store_->progress(root);
    if (progress && progress->received > received) {
      received = progress->received;
      deadline = clock_.now() + patience;
    }
    if (clock_.now() < deadline || ended_.contains(root)) continue;
    plane_->forget(root);
    return unavailable("the coordinator sends nothing of blob " + root.short_hex() +
                       ": it may no longer hold it");
  }
  const auto failure = ended_.extract(root).mapped();
  lock.unlock();
  if (failure) return *failure;
  auto bytes = store_->read_all(root, bytes_max);
  store_->remove(root);
  return bytes;
}

Result<Digest> BulkClient::offer(ByteView blob) { return store_->put(blob); }

}  // namespace fedmesh::cli
