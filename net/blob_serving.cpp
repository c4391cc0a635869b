#include "net/blob_serving.h"

#include <algorithm>

namespace fedmesh::net {
namespace {

constexpr std::size_t kReadersMax = 16;
constexpr Duration kReaderIdle{5000};

const Digest& root_of(const BlobServing::Request& request) {
  return std::visit([](const auto& one) -> const Digest& { return one.root; }, request);
}

Result<Bytes> page(BlobReader& reader, const ManifestRequest& request) {
  const BlobManifest& manifest = reader.manifest();
  if (request.first > 0 && request.first >= manifest.leaves.size())
    return invalid_argument("it asks for a manifest beyond the blob's end");
  ManifestPage page{request.root, manifest.total, request.first, {}};
  const std::uint64_t count =
      std::min<std::uint64_t>(kPageLeavesMax, manifest.leaves.size() - request.first);
  const auto from = manifest.leaves.begin() + static_cast<std::ptrdiff_t>(request.first);
  page.leaves.assign(from, from + static_cast<std::ptrdiff_t>(count));
  if (manifest.total <= kInlineBytes) {
    page.whole.resize(manifest.total);
    const auto read = reader.read(0, page.whole);
    if (!read.ok()) return not_found(read.error().detail);
  }
  return encode_bulk(page);
}

Result<Bytes> chunks(BlobReader& reader, const ChunkRequest& request) {
  const std::uint64_t leaves = reader.manifest().leaves.size();
  if (request.count == 0 || request.count > kPieceLeaves || request.first >= leaves ||
      request.count > leaves - request.first)
    return invalid_argument("it asks for chunks that the blob does not have");
  if (request.check) reader.doubt();
  const std::uint64_t at = request.first * crypto::kBlobLeafBytes;
  const std::uint64_t size =
      std::min<std::uint64_t>(request.count * crypto::kBlobLeafBytes, reader.size() - at);
  Bytes out = begin_chunks(request.root, request.first, size);
  const auto read = reader.read(at, MutableByteView(out).subspan(kChunksHeaderBytes));
  if (!read.ok()) return not_found(read.error().detail);
  return out;
}

}  // namespace

void BlobServing::requested(const NodeId& peer, const Request& request, Instant now,
                            BlobExchange::Effects& effects) {
  const auto found = peers_.find(peer);
  if (found == peers_.end()) return;
  Peer& state = found->second;
  if (state.waiting.size() + (state.sending ? 1 : 0) >= kUnansweredMax) {
    effects.emplace_back(BlobExchange::Disconnect{peer, "too many requests at once"});
    return;
  }
  state.waiting.push_back(request);
  serve(peer, state, now, effects);
}

void BlobServing::taken(const NodeId& peer, Instant now, BlobExchange::Effects& effects) {
  const auto found = peers_.find(peer);
  if (found == peers_.end()) return;
  found->second.sending.reset();
  serve(peer, found->second, now, effects);
}

// The answer is read again later rather than kept: a slow peer costs a request, not its data.
void BlobServing::full(const NodeId& peer) {
  const auto found = peers_.find(peer);
  if (found == peers_.end() || !found->second.sending) return;
  found->second.waiting.push_front(*found->second.sending);
  found->second.sending.reset();
  found->second.full = true;
}

void BlobServing::writable(const NodeId& peer, Instant now, BlobExchange::Effects& effects) {
  const auto found = peers_.find(peer);
  if (found == peers_.end()) return;
  found->second.full = false;
  serve(peer, found->second, now, effects);
}

void BlobServing::serve(const NodeId& peer, Peer& state, Instant now,
                        BlobExchange::Effects& effects) {
  if (state.sending || state.full || state.waiting.empty()) return;
  const Request request = state.waiting.front();
  auto bytes = state.served ? answer(request, now) : Result<Bytes>(not_found("not for this peer"));
  if (!bytes.ok() && bytes.error().code == ErrorCode::invalid_argument) {
    effects.emplace_back(BlobExchange::Disconnect{peer, bytes.error().detail});
    return;
  }
  state.waiting.pop_front();
  state.sending = request;
  effects.emplace_back(BlobExchange::Send{
      peer, bytes.ok() ? std::move(bytes).value() : encode_bulk(Missing{root_of(request)}), true});
}

Result<Bytes> BlobServing::answer(const Request& request, Instant now) {
  const Digest& root = root_of(request);
  if (!store_.holds(root)) {
    readers_.erase(root);
    return not_found("blob " + root.short_hex() + " is not here");
  }
  const auto open = reader(root, now);
  if (!open.ok()) return not_found(open.error().detail);
  auto bytes = std::holds_alternative<ManifestRequest>(request)
                   ? page(**open, std::get<ManifestRequest>(request))
                   : chunks(**open, std::get<ChunkRequest>(request));
  if (!bytes.ok() && bytes.error().code == ErrorCode::not_found) readers_.erase(root);
  return bytes;
}

Result<BlobReader*> BlobServing::reader(const Digest& root, Instant now) {
  auto found = readers_.find(root);
  if (found == readers_.end()) {
    if (readers_.size() >= kReadersMax)
      readers_.erase(std::min_element(
          readers_.begin(), readers_.end(),
          [](const auto& a, const auto& b) { return a.second.used < b.second.used; }));
    FM_TRY(auto opened, store_.open(root, Verify::found));
    found = readers_.emplace(root, Open{std::move(opened), now}).first;
  }
  found->second.used = now;
  return found->second.reader.get();
}

void BlobServing::close_idle(Instant now) {
  std::erase_if(readers_, [&](const auto& open) { return now - open.second.used >= kReaderIdle; });
}

std::size_t BlobServing::to_answer() const {
  std::size_t count = 0;
  for (const auto& [peer, state] : peers_) count += state.waiting.size();
  return count;
}

}  // namespace fedmesh::net
