#include "net/blob_fetching.h"

#include <algorithm>

#include "base/check.h"

namespace fedmesh::net {
namespace {

constexpr std::size_t kLiarsMax = 1024;  // remembered for one blob
constexpr Duration kFast{1000};          // answers within this widen a peer's window
constexpr Duration kSlow{2500};          // and beyond this narrow it

}  // namespace

void BlobFetching::up(const NodeId& peer, Instant now, Effects& effects) {
  if (!peers_.contains(peer)) fill(peer, peers_[peer], now, effects);
}

void BlobFetching::down(const NodeId& peer, Instant now, Effects& effects) {
  const auto found = peers_.find(peer);
  if (found == peers_.end()) return;
  give_up(peer, found->second, std::nullopt);
  peers_.erase(found);
  for (auto& [root, wanted] : wants_) {
    wanted.known.erase(peer);
    wanted.missing.erase(peer);
    if (wanted.source == peer) wanted.source.reset();
  }
  fill_all(now, effects);
}

void BlobFetching::want(const BlobExchange::Want& want, Instant now, Effects& effects) {
  if (store_.holds(want.root)) return held(want.root, want.flush, effects);
  const bool fresh = !wants_.contains(want.root);
  if (fresh && wants_.size() >= limits_.wants_max) {
    effects.emplace_back(BlobExchange::Failed{
        want.root, exhausted(std::to_string(wants_.size()) + " blobs are wanted already")});
    return;
  }
  Wanted& wanted = wants_[want.root];
  wanted.bytes_max = std::min(want.bytes_max, store_.limits().blob_bytes_max);
  wanted.holders = want.holders;
  const bool raised = want.flush == Flush::yes && wanted.flush == Flush::no;
  if (raised) wanted.flush = Flush::yes;
  if (wanted.source && !wanted.holders.empty() && !wanted.holders.contains(*wanted.source))
    wanted.source.reset();
  if (fresh || (raised && wanted.begun)) {
    // What an earlier process received; its leaves were checked against the root.
    const auto manifest = store_.partial_manifest(want.root);
    if (manifest && manifest->total <= wanted.bytes_max)
      begin(want.root, *manifest, std::nullopt, effects);
  }
  fill_all(now, effects);
}

void BlobFetching::forget(const Digest& root, Instant now, Effects& effects) {
  if (!wants_.contains(root)) return;
  finish(root);
  store_.suspend(root);
  fill_all(now, effects);
}

void BlobFetching::held(const Digest& root, Flush flush, Effects& effects) {
  const auto kept = flush == Flush::yes ? store_.flush(root) : Result<void>();
  finish(root);
  if (kept.ok()) {
    effects.emplace_back(BlobExchange::Arrived{root});
  } else {
    effects.emplace_back(BlobExchange::Failed{root, kept.error()});
  }
}

void BlobFetching::finish(const Digest& root) {
  if (!wants_.contains(root)) return;
  for (auto& [peer, state] : peers_) give_up(peer, state, root);
  wants_.erase(root);
}

void BlobFetching::give_up(const NodeId& peer, Peer& state, const std::optional<Digest>& root) {
  for (Request& request : state.owed) {
    if (request.given_up || (root && request.root != *root)) continue;
    request.given_up = true;
    --state.active;
    --active_;
    release(peer, request);
  }
}

// Somebody else may be asked for what this peer was asked for.
void BlobFetching::release(const NodeId& peer, const Request& request) {
  const auto found = wants_.find(request.root);
  if (found == wants_.end()) return;
  Wanted& wanted = found->second;
  wanted.probed.erase(peer);
  if (request.manifest) {
    if (wanted.source == peer) {
      wanted.source.reset();
      wanted.manifest = {};
    }
    return;
  }
  const auto flight = wanted.flights.find(request.first / kPieceLeaves);
  if (flight == wanted.flights.end()) return;
  if (flight->second.second == peer) {
    flight->second.second.reset();
  } else if (flight->second.peer == peer && flight->second.second) {
    flight->second.peer = *flight->second.second;
    flight->second.second.reset();
  } else if (flight->second.peer == peer) {
    wanted.cursor = std::min(wanted.cursor, flight->first * kPieceLeaves);
    wanted.flights.erase(flight);
  }
}

void BlobFetching::landed(const NodeId& peer, const Request& request) {
  const auto found = wants_.find(request.root);
  if (found == wants_.end()) return;
  const auto flight = found->second.flights.find(request.first / kPieceLeaves);
  if (flight != found->second.flights.end() &&
      (flight->second.peer == peer || flight->second.second == peer))
    found->second.flights.erase(flight);
}

void BlobFetching::answered(const NodeId& peer, const Answer& answer, Instant now,
                            Effects& effects) {
  const auto found = peers_.find(peer);
  if (found == peers_.end()) return;
  Peer& state = found->second;
  const Digest root = std::visit([](const auto& one) { return one.root; }, answer);
  const auto* page_answer = std::get_if<ManifestPage>(&answer);
  const auto* chunks_answer = std::get_if<Chunks>(&answer);
  const bool expected =
      !state.owed.empty() && state.owed.front().root == root &&
      (page_answer == nullptr ||
       (state.owed.front().manifest && state.owed.front().first == page_answer->first)) &&
      (chunks_answer == nullptr ||
       (!state.owed.front().manifest && state.owed.front().first == chunks_answer->first));
  if (!expected) {
    effects.emplace_back(BlobExchange::Disconnect{peer, "it answers what nobody asked"});
    return;
  }
  const Request request = state.owed.front();
  state.owed.pop_front();
  state.heard = now;
  state.rests_until = now;
  if (now - request.sent <= kFast) {
    state.window = std::min(state.window + 1, limits_.peer_requests_max);
  } else if (now - request.sent >= kSlow) {
    state.window = std::max<std::size_t>(1, state.window / 2);
  }
  if (!request.given_up) {
    --state.active;
    --active_;
    if (chunks_answer != nullptr) {
      landed(peer, request);
    } else if (page_answer == nullptr) {
      release(peer, request);
    }
  }
  const auto wanted = wants_.find(root);
  if (wanted != wants_.end()) {
    wanted->second.probed.erase(peer);
    if (page_answer != nullptr && !request.given_up) {
      page(peer, *page_answer, wanted->second, now, effects);
    } else if (chunks_answer != nullptr) {
      chunks(peer, *chunks_answer, request.check, wanted->second, effects);
    } else if (page_answer == nullptr) {
      missing(peer, root, wanted->second, now);
    }
  }
  // Where the answer released nothing, only this peer has room for more.
  const auto still = wants_.find(root);
  if (chunks_answer != nullptr && !request.given_up && still != wants_.end()) {
    fill(peer, state, now, effects);
  } else {
    fill_all(now, effects);
  }
}

void BlobFetching::page(const NodeId& peer, const ManifestPage& page, Wanted& wanted, Instant now,
                        Effects& effects) {
  const auto add_whole = [&] {  // a short blob comes with its manifest
    const auto still = wants_.find(page.root);
    if (!page.whole.empty() && still != wants_.end() && still->second.begun)
      chunks(peer, Chunks{page.root, 0, page.whole}, false, still->second, effects);
  };
  if (wanted.begun) {
    wanted.known.insert(peer);
    return add_whole();
  }
  if (page.total > wanted.bytes_max) {  // a lie, or the bound is too low: cannot be told apart
    wanted.missing[peer] = now + 10 * limits_.missing_retry;
    if (wanted.source == peer) wanted.source.reset();
    return;
  }
  const std::uint64_t count = crypto::blob_leaf_count(page.total);
  const bool shaped = (page.first < count || page.first == 0) &&
                      page.leaves.size() == std::min(kPageLeavesMax, count - page.first) &&
                      page.whole.size() == (page.total <= kInlineBytes ? page.total : 0);
  const bool next = wanted.source == peer && page.first == wanted.manifest.leaves.size() &&
                    page.total == wanted.manifest.total;
  if (!shaped || (page.first > 0 && !next))
    return lied(peer, wanted, "a manifest page of the wrong shape", effects);
  wanted.known.insert(peer);
  if (page.first == 0) {
    if (wanted.source && wanted.source != peer) return;
    wanted.source = peer;
    wanted.manifest = {page.total, page.leaves};
  } else {
    wanted.manifest.leaves.insert(wanted.manifest.leaves.end(), page.leaves.begin(),
                                  page.leaves.end());
  }
  if (wanted.manifest.leaves.size() < count) return;
  const BlobManifest manifest = std::exchange(wanted.manifest, {});
  wanted.source.reset();
  begin(page.root, manifest, peer, effects);
  add_whole();
}

void BlobFetching::begin(const Digest& root, const BlobManifest& manifest,
                         const std::optional<NodeId>& from, Effects& effects) {
  Wanted& wanted = wants_.at(root);
  const auto begun = store_.begin(root, manifest, wanted.flush);
  if (!begun.ok() && begun.error().code == ErrorCode::invalid_argument && from)
    return lied(*from, wanted, "a manifest that is not the blob's", effects);
  if (!begun.ok()) {
    finish(root);
    effects.emplace_back(BlobExchange::Failed{root, begun.error()});
    return;
  }
  if (*begun) {
    finish(root);
    effects.emplace_back(BlobExchange::Arrived{root});
    return;
  }
  wanted.begun = true;
  wanted.leaves = manifest.leaves.size();
  wanted.cursor = 0;
}

void BlobFetching::chunks(const NodeId& peer, const Chunks& chunks, bool checked, Wanted& wanted,
                          Effects& effects) {
  if (!wanted.begun) return;  // begun anew since it was asked
  const auto added = store_.add(chunks.root, chunks.first, chunks.bytes);
  if (added.ok() && *added) {
    finish(chunks.root);
    effects.emplace_back(BlobExchange::Arrived{chunks.root});
    return;
  }
  if (!added.ok() && added.error().code == ErrorCode::corruption)
    return false_chunks(peer, chunks, checked, added.error().detail, wanted, effects);
  if (!added.ok() && added.error().code == ErrorCode::not_found)
    return restart(chunks.root, wanted);
  if (!added.ok()) {
    finish(chunks.root);
    effects.emplace_back(BlobExchange::Failed{chunks.root, added.error()});
    return;
  }
  wanted.known.insert(peer);
  // Fewer leaves than were asked for leave a hole behind the cursor.
  const auto hole = store_.next_missing(chunks.root, chunks.first);
  if (hole && *hole / kPieceLeaves == chunks.first / kPieceLeaves)
    wanted.cursor = std::min(wanted.cursor, *hole);
}

// A holder does not hash everything that it serves. Asked to, it does, and answers for every byte.
void BlobFetching::false_chunks(const NodeId& peer, const Chunks& chunks, bool checked,
                                const std::string& what, Wanted& wanted, Effects& effects) {
  wanted.cursor = std::min(wanted.cursor, chunks.first);
  if (checked || wanted.doubted.size() >= kLiarsMax) return lied(peer, wanted, what, effects);
  wanted.doubted.insert(peer);
}

// Its owner removed what had come; the want stands.
void BlobFetching::restart(const Digest& root, Wanted& wanted) {
  for (auto& [peer, state] : peers_) give_up(peer, state, root);
  wanted.begun = false;
  wanted.flights.clear();
  wanted.cursor = 0;
}

void BlobFetching::missing(const NodeId& peer, const Digest& root, Wanted& wanted, Instant now) {
  wanted.known.erase(peer);
  wanted.missing[peer] = now + limits_.missing_retry;
  if (wanted.source == peer) {
    wanted.source.reset();
    wanted.manifest = {};
  }
  give_up(peer, peers_.at(peer), root);
}

void BlobFetching::lied(const NodeId& peer, Wanted& wanted, const std::string& what,
                        Effects& effects) {
  if (wanted.liars.size() < kLiarsMax) wanted.liars.insert(peer);
  effects.emplace_back(BlobExchange::Disconnect{peer, "it sent " + what});
}

void BlobFetching::tick(Instant now, Effects& effects) {
  std::vector<std::pair<Digest, Flush>> here;  // it came another way
  for (const auto& [root, wanted] : wants_)
    if (store_.holds(root)) here.emplace_back(root, wanted.flush);
  for (const auto& [root, flush] : here) held(root, flush, effects);
  for (auto& [peer, state] : peers_) {
    if (state.active == 0 || now - state.heard < limits_.stall) continue;
    give_up(peer, state, std::nullopt);
    state.window = 1;
    state.rests_until = now + limits_.missing_retry;
  }
  fill_all(now, effects);
}

void BlobFetching::fill_all(Instant now, Effects& effects) {
  for (auto& [peer, state] : peers_) fill(peer, state, now, effects);
}

void BlobFetching::fill(const NodeId& peer, Peer& state, Instant now, Effects& effects) {
  if (state.rests_until > now || wants_.empty()) return;
  const auto room = [&] {
    return state.active < state.window && state.owed.size() < kUnansweredMax &&
           (active_ + 1) * kPieceBytes <= limits_.window_bytes_max;
  };
  // Wants take turns; a whole turn without a request ends it.
  auto at = wants_.upper_bound(state.last);
  for (std::size_t idle = 0; room() && idle < wants_.size(); ++at) {
    if (at == wants_.end()) at = wants_.begin();
    if (ask(peer, state, at->first, at->second, now, effects)) {
      state.last = at->first;
      idle = 0;
    } else {
      ++idle;
    }
  }
}

bool BlobFetching::ask(const NodeId& peer, Peer& state, const Digest& root, Wanted& wanted,
                       Instant now, Effects& effects) {
  if (!wanted.holders.empty() && !wanted.holders.contains(peer)) return false;
  if (wanted.liars.contains(peer)) return false;
  const auto absent = wanted.missing.find(peer);
  if (absent != wanted.missing.end()) {
    if (absent->second > now) return false;
    wanted.missing.erase(absent);
  }
  if (!wanted.begun) return ask_manifest(peer, state, root, wanted, now, effects);
  const bool known = wanted.known.contains(peer);
  if (!known && (wanted.probed.contains(peer) || wanted.probed.size() >= limits_.probes_max))
    return false;
  const auto piece = next_piece(peer, root, wanted, now);
  if (!piece) return false;
  if (!known) wanted.probed.insert(peer);
  const bool check = wanted.doubted.contains(peer);
  send(peer, state, Request{root, false, piece->first, piece->count, now, check}, now, effects);
  return true;
}

bool BlobFetching::ask_manifest(const NodeId& peer, Peer& state, const Digest& root, Wanted& wanted,
                                Instant now, Effects& effects) {
  if (wanted.probed.contains(peer)) return false;
  if (wanted.source && wanted.source != peer) return false;
  if (!wanted.source && wanted.probed.size() >= limits_.probes_max) return false;
  wanted.probed.insert(peer);
  const std::uint64_t first = wanted.source ? wanted.manifest.leaves.size() : 0;
  send(peer, state, Request{root, true, first, 0, now, false}, now, effects);
  return true;
}

std::optional<ChunkRequest> BlobFetching::next_piece(const NodeId& peer, const Digest& root,
                                                     Wanted& wanted, Instant now) {
  const auto request_from = [&](std::uint64_t first) {
    const std::uint64_t end = std::min((first / kPieceLeaves + 1) * kPieceLeaves, wanted.leaves);
    return ChunkRequest{root, first, static_cast<std::uint32_t>(end - first)};
  };
  while (const auto first = store_.next_missing(root, wanted.cursor)) {
    const std::uint64_t piece = *first / kPieceLeaves;
    wanted.cursor = (piece + 1) * kPieceLeaves;
    if (wanted.flights.emplace(piece, Flight{peer, {}, now}).second) return request_from(*first);
  }
  // Nothing is left to ask for but what others owe.
  for (auto& [piece, flight] : wanted.flights) {
    if (flight.peer == peer || flight.second || now - flight.since < limits_.steal_after) continue;
    const auto first = store_.next_missing(root, piece * kPieceLeaves);
    if (!first || *first / kPieceLeaves != piece) continue;
    flight.second = peer;
    return request_from(*first);
  }
  return std::nullopt;
}

void BlobFetching::send(const NodeId& peer, Peer& state, const Request& request, Instant now,
                        Effects& effects) {
  if (state.active == 0) state.heard = now;
  state.owed.push_back(request);
  ++state.active;
  ++active_;
  effects.emplace_back(BlobExchange::Send{
      peer, request.manifest ? encode_bulk(ManifestRequest{request.root, request.first})
                             : encode_bulk(ChunkRequest{request.root, request.first, request.count,
                                                        request.check})});
}

void BlobFetching::add_to(BlobExchange::Stats& stats) const {
  stats.wants = wants_.size();
  stats.peers = peers_.size();
  for (const auto& [peer, state] : peers_) stats.requests += state.owed.size();
  stats.window_bytes = active_ * kPieceBytes;
}

}  // namespace fedmesh::net
