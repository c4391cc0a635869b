// Fetches wanted blobs from linked peers, from several at once, and serves those that this node
// holds: a step machine over a BlobStore. See PROTOCOL.md here.
//
// Its memory is bounded by the limits, whatever the peers do: chunks go to the store as they come,
// and an answer is read from it only when the transport has taken the one before.
// Not thread-safe: owned by the loop thread. No clock, no socket; the store is its only way out.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <variant>
#include <vector>

#include "base/bytes.h"
#include "base/clock.h"
#include "base/ids.h"
#include "net/blob_store.h"

namespace fedmesh::net {

struct ExchangeLimits {
  std::size_t wants_max = 256;
  std::size_t peer_requests_max = 32;            // of 256 KiB, asked of one peer at once
  std::uint64_t window_bytes_max = 64ull << 20;  // asked of all peers at once
  std::size_t probes_max = 3;  // peers asked for a blob at once without knowing that they hold it
  Duration stall{3000};        // nothing came of a peer that owes us something
  Duration missing_retry{2000};
  Duration steal_after{500};  // an idle peer repeats what another one has owed so long
};

class BlobExchange {
 public:
  // --- events ---
  struct PeerUp {
    NodeId peer;
    bool served = true;  // false: its requests are answered by "missing"
  };
  struct PeerDown {
    NodeId peer;
  };
  struct Admit {  // of a linked peer, anew
    NodeId peer;
    bool served = true;
  };
  struct Received {
    NodeId peer;
    ByteView bytes;  // valid during step()
  };
  // The transport took, or had no room for, the Send that was marked `answer`. After Full a
  // Writable says that there is room again.
  struct Taken {
    NodeId peer;
  };
  struct Full {
    NodeId peer;
  };
  struct Writable {
    NodeId peer;
  };
  struct Want {
    Digest root;
    std::uint64_t bytes_max = 256ull << 20;  // what a valid blob can have
    std::set<NodeId> holders;                // who may have it; empty: any linked peer
    Flush flush = Flush::yes;                // once asked for, it is flushed
  };
  struct Forget {
    Digest root;
  };
  struct Tick {};
  using Event =
      std::variant<PeerUp, PeerDown, Admit, Received, Taken, Full, Writable, Want, Forget, Tick>;

  // --- effects ---
  struct Send {
    NodeId peer;
    Bytes bytes;
    // An answer: Taken or Full must follow. Else a request of some tens of bytes, which is not lost
    // while the link lives.
    bool answer = false;
  };
  struct Arrived {
    Digest root;  // the store holds it
  };
  // The want is over: the store could not take it, or the want itself was beyond the limits. A
  // peer that lies or has nothing never leads to this.
  struct Failed {
    Digest root;
    Error reason;
  };
  struct Disconnect {
    NodeId peer;
    std::string reason;
  };
  using Effect = std::variant<Send, Arrived, Failed, Disconnect>;
  using Effects = std::vector<Effect>;

  struct Stats {
    std::size_t wants = 0;
    std::size_t peers = 0;
    std::size_t requests = 0;        // out, unanswered
    std::uint64_t window_bytes = 0;  // asked for and not here yet
    std::size_t to_answer = 0;       // requests of peers that wait for their turn
    std::size_t readers = 0;         // open files for serving
  };

  BlobExchange(BlobStore& store, const ExchangeLimits& limits = {});  // `store` outlives it
  ~BlobExchange();

  // A second Want of the same root replaces its bound and holders.
  Effects step(Instant now, const Event& event);
  std::optional<Instant> next_wake() const;  // when a Tick is due
  bool wants(const Digest& root) const;
  Stats stats() const;

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace fedmesh::net
