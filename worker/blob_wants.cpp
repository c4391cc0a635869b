#include "worker/blob_wants.h"

#include <algorithm>
#include <utility>

#include "coordinator/protocol/messages.h"

namespace fedmesh::worker {

const Bytes* BlobWants::want(const Digest& root, std::uint64_t bytes_max) {
  const auto found = held_.find(root);
  if (found != held_.end()) return &found->second;
  wanted_.try_emplace(root, Want{.bytes_max = std::min(bytes_max, protocol::kMaxBlobBytes)});
  return nullptr;
}

void BlobWants::put(const Digest& root, Bytes blob) {
  wanted_.erase(root);
  held_[root] = std::move(blob);
}

void BlobWants::failed(const Digest& root) {
  if (const auto found = wanted_.find(root); found != wanted_.end()) found->second.failed = true;
}

void BlobWants::ask_again() {
  for (auto& [root, want] : wanted_)
    if (std::exchange(want.failed, false)) want.asked = false;
}

std::optional<std::uint64_t> BlobWants::bytes_max(const Digest& root) const {
  const auto found = wanted_.find(root);
  if (found == wanted_.end()) return std::nullopt;
  return found->second.bytes_max;
}

std::vector<BlobWants::Fetch> BlobWants::take_new() {
  std::vector<Fetch> out;
  for (auto& [root, want] : wanted_) {
    if (std::exchange(want.asked, true)) continue;
    out.push_back({root, want.bytes_max});
  }
  return out;
}

void BlobWants::keep_only(const std::set<Digest>& roots) {
  std::erase_if(held_, [&](const auto& entry) { return !roots.contains(entry.first); });
  std::erase_if(wanted_, [&](const auto& entry) { return !roots.contains(entry.first); });
}

}  // namespace fedmesh::worker
