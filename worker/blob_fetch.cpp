#include "worker/blob_fetch.h"

#include <algorithm>

#include "base/crypto/blob_hash.h"

namespace fedmesh::worker {

const Bytes* BlobFetcher::want(const Digest& root, std::uint64_t bytes_max) {
  const auto found = held_.find(root);
  if (found != held_.end()) return &found->second;
  transfers_.try_emplace(root).first->second.bytes_max =
      std::min(bytes_max, protocol::kMaxBlobBytes);
  return nullptr;
}

void BlobFetcher::put(Bytes blob) {
  const Digest root = crypto::blob_root(blob);
  transfers_.erase(root);
  held_[root] = std::move(blob);
}

std::vector<protocol::BlobRequest> BlobFetcher::requests(Instant now) {
  std::vector<protocol::BlobRequest> out;
  for (auto& [root, transfer] : transfers_) {
    if (transfer.refused) continue;
    if (now >= transfer.retry_at) {  // the first time, or what was asked for did not come
      transfer.asked = transfer.bytes.size();
      transfer.waiting = false;
    }
    if (!transfer.waiting && now < transfer.retry_at) continue;
    // Until the size is known one frame is asked for: a blob may be smaller than a window.
    const std::uint64_t until =
        transfer.total == 0 ? 1 : std::min(transfer.total, transfer.bytes.size() + kWindowBytes);
    while (transfer.asked < until) {
      out.push_back({root, transfer.asked});
      transfer.asked += protocol::kFrameBytes;
      transfer.waiting = true;
      transfer.retry_at = now + kRetry;
    }
  }
  return out;
}

void BlobFetcher::link_lost() {
  for (auto& [root, transfer] : transfers_) {
    transfer.asked = transfer.bytes.size();
    transfer.waiting = false;
    transfer.refused = false;
    transfer.retry_at = {};
  }
}

Result<bool> BlobFetcher::receive(Instant now, const protocol::BlobFrame& frame) {
  const auto found = transfers_.find(frame.root);
  if (found == transfers_.end()) return false;
  Transfer& transfer = found->second;
  // A repeated request may be answered twice.
  if (transfer.refused || !transfer.waiting || frame.offset < transfer.bytes.size()) return false;
  if (frame.total == 0 || frame.total > transfer.bytes_max) {
    transfer.refused = true;
    return invalid_argument("blob " + frame.root.short_hex() + " is said to have " +
                            std::to_string(frame.total) + " bytes; at most " +
                            std::to_string(transfer.bytes_max) + " make sense");
  }
  const bool same = transfer.total == 0 || frame.total == transfer.total;
  if (!same || frame.offset != transfer.bytes.size() ||
      frame.bytes.size() !=
          std::min<std::uint64_t>(protocol::kFrameBytes, frame.total - frame.offset))
    return invalid_argument("a frame of blob " + frame.root.short_hex() +
                            " is not the one that was asked for");
  transfer.total = frame.total;
  append(transfer.bytes, frame.bytes);
  transfer.retry_at = now + kRetry;
  if (transfer.bytes.size() < transfer.total) return false;
  if (crypto::blob_root(transfer.bytes) != frame.root) {
    transfer.bytes = {};
    transfer.total = 0;
    transfer.refused = true;
    return corruption("blob " + frame.root.short_hex() + " does not have the root it was sent for");
  }
  held_[frame.root] = std::move(transfer.bytes);
  transfers_.erase(found);
  return true;
}

void BlobFetcher::receive(Instant now, const protocol::BlobMissing& missing) {
  const auto found = transfers_.find(missing.root);
  if (found == transfers_.end()) return;
  found->second.waiting = false;
  found->second.asked = found->second.bytes.size();
  found->second.retry_at = now + kRetry;
}

void BlobFetcher::keep_only(const std::set<Digest>& roots) {
  std::erase_if(held_, [&](const auto& entry) { return !roots.contains(entry.first); });
  std::erase_if(transfers_, [&](const auto& entry) { return !roots.contains(entry.first); });
}

std::optional<std::pair<std::uint64_t, std::uint64_t>> BlobFetcher::progress(
    const Digest& root) const {
  const auto found = transfers_.find(root);
  if (found == transfers_.end()) return std::nullopt;
  return std::pair(std::uint64_t{found->second.bytes.size()}, found->second.total);
}

std::optional<Instant> BlobFetcher::next_wake() const {
  std::optional<Instant> at;
  for (const auto& [root, transfer] : transfers_)
    if (!transfer.refused && (!at || transfer.retry_at < *at)) at = transfer.retry_at;
  return at;
}

}  // namespace fedmesh::worker
