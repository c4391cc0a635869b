// The half of the exchange that asks. A wanted blob's manifest comes from one peer, its chunks from
// all that have it, in pieces of 256 KiB: every piece is asked of one peer, of a second one if the
// first is slow and the second has nothing else to do. Internal to blob_exchange.cpp.
// Not thread-safe.
#pragma once

#include <deque>
#include <map>
#include <optional>
#include <set>

#include "net/blob_exchange.h"
#include "net/blob_messages.h"

namespace fedmesh::net {

class BlobFetching {
 public:
  using Effects = BlobExchange::Effects;

  BlobFetching(BlobStore& store, const ExchangeLimits& limits) : store_(store), limits_(limits) {}

  void up(const NodeId& peer, Instant now, Effects& effects);
  void down(const NodeId& peer, Instant now, Effects& effects);
  void want(const BlobExchange::Want& want, Instant now, Effects& effects);
  void forget(const Digest& root, Instant now, Effects& effects);
  using Answer = std::variant<ManifestPage, Chunks, Missing>;
  void answered(const NodeId& peer, const Answer& answer, Instant now, Effects& effects);
  void tick(Instant now, Effects& effects);

  bool wants(const Digest& root) const { return wants_.contains(root); }
  bool idle() const { return wants_.empty() || peers_.empty(); }
  void add_to(BlobExchange::Stats& stats) const;

 private:
  // One message that a peer owes us. Answers come in the order of the requests, so one that was
  // given up stays in the queue until its answer has come.
  struct Request {
    Digest root;
    bool manifest = false;
    std::uint64_t first = 0;
    std::uint32_t count = 0;
    Instant sent;
    bool check = false;  // the holder looks at its disk: what comes is its word
    bool given_up = false;
  };
  struct Peer {
    std::deque<Request> owed;
    std::size_t active = 0;  // of `owed`, not given up
    std::size_t window = 4;  // how many may be active; follows how fast answers come
    Instant heard;           // the last answer, or the first request after nothing was owed
    Instant rests_until;
    Digest last;  // the want that was served last: they take turns
  };
  struct Flight {
    NodeId peer;
    std::optional<NodeId> second;
    Instant since;
  };
  struct Wanted {
    std::uint64_t bytes_max = 0;
    std::set<NodeId> holders;
    Flush flush = Flush::no;
    bool begun = false;  // the store has its manifest
    // Until then:
    std::optional<NodeId> source;  // whose pages stand in `manifest`
    BlobManifest manifest;
    // Then:
    std::uint64_t leaves = 0;
    std::uint64_t cursor = 0;                 // leaves before it are there or in flight
    std::map<std::uint64_t, Flight> flights;  // by piece
    // What peers said; of linked ones but for `liars`.
    std::set<NodeId> known;             // to have it
    std::set<NodeId> probed;            // asked without knowing, not answered yet
    std::map<NodeId, Instant> missing;  // not asked before
    std::set<NodeId> doubted;           // sent false chunks; their disk may be to blame, once
    std::set<NodeId> liars;             // not asked again
  };
  using Wants = std::map<Digest, Wanted>;

  void page(const NodeId& peer, const ManifestPage& page, Wanted& wanted, Instant now,
            Effects& effects);
  void chunks(const NodeId& peer, const Chunks& chunks, bool checked, Wanted& wanted,
              Effects& effects);
  void missing(const NodeId& peer, const Digest& root, Wanted& wanted, Instant now);
  void begin(const Digest& root, const BlobManifest& manifest, const std::optional<NodeId>& from,
             Effects& effects);
  void false_chunks(const NodeId& peer, const Chunks& chunks, bool checked, const std::string& what,
                    Wanted& wanted, Effects& effects);
  void lied(const NodeId& peer, Wanted& wanted, const std::string& what, Effects& effects);
  void restart(const Digest& root, Wanted& wanted);
  void finish(const Digest& root);  // the want is over
  // The store holds it: the want is over, once it is as durable as was asked for.
  void held(const Digest& root, Flush flush, Effects& effects);
  // The peer's requests for this blob are given up; the pieces are free again.
  void give_up(const NodeId& peer, Peer& state, const std::optional<Digest>& root);
  void release(const NodeId& peer, const Request& request);
  void landed(const NodeId& peer, const Request& request);  // its chunks are here

  void fill(const NodeId& peer, Peer& state, Instant now, Effects& effects);
  void fill_all(Instant now, Effects& effects);
  bool ask(const NodeId& peer, Peer& state, const Digest& root, Wanted& wanted, Instant now,
           Effects& effects);
  bool ask_manifest(const NodeId& peer, Peer& state, const Digest& root, Wanted& wanted,
                    Instant now, Effects& effects);
  std::optional<ChunkRequest> next_piece(const NodeId& peer, const Digest& root, Wanted& wanted,
                                         Instant now);
  void send(const NodeId& peer, Peer& state, const Request& request, Instant now, Effects& effects);

  BlobStore& store_;
  const ExchangeLimits limits_;
  Wants wants_;
  std::map<NodeId, Peer> peers_;
  std::size_t active_ = 0;  // of all peers
};

}  // namespace fedmesh::net
