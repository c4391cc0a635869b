// How final blocks come about, as a step machine: events in, effects out. The host (coordinator/
// main, the simulator) turns network messages, submissions and timers into events, and effects into
// sends and timers. One implementation is the committee of one (solo.h).
#pragma once

#include <optional>
#include <variant>
#include <vector>

#include "base/bytes.h"
#include "base/clock.h"
#include "base/ids.h"
#include "base/result.h"
#include "coordinator/ledger/block.h"
#include "coordinator/ledger/record.h"

namespace fedmesh::consensus {

// Events.

// Records that arrived here, from clients or by gossip. Handing over all that wait at once makes
// one block of them.
struct Submit {
  std::vector<ledger::Record> records;
};
struct Tick {};  // a WakeAt is due, or the host wakes anyway (at start-up: always once)
struct PeerMessage {
  NodeId from;  // authenticated by the transport
  Bytes bytes;
};
using Event = std::variant<Submit, Tick, PeerMessage>;

// Effects.

struct Finalized {  // stored and executed; in height order
  ledger::CertifiedBlock block;
};
struct Accepted {  // of a submitted record: it is final
  Digest record;   // ledger::record_hash
  Height height;
};
// Of a submitted record: it is in no block and no longer pending. `stale` and `unavailable` may
// succeed when submitted again later; `exhausted`: the pool is full.
struct Rejected {
  Digest record;
  Error reason;
};
struct Send {
  NodeId to;
  Bytes bytes;
};
struct Broadcast {  // to the other members of the committee
  Bytes bytes;
};
struct WakeAt {  // step with Tick at this time or soon after; replaces the one before
  Instant at;
};
// The store or an own invariant failed: nothing will be finalised any more. The host stops the
// node.
struct Halted {
  Error reason;
};
using Effect = std::variant<Finalized, Accepted, Rejected, Send, Broadcast, WakeAt, Halted>;
using Effects = std::vector<Effect>;

// Not thread-safe: owned by the node's loop thread.
class Consensus {
 public:
  virtual ~Consensus() = default;
  virtual Effects step(Instant now, const Event& event) = 0;
  virtual std::size_t pending_records() const = 0;
};

}  // namespace fedmesh::consensus
