// The aggregator's duty, as a step machine: accept, collect and check openings, say which are
// available, compute the aggregate of the frozen set, attest to it. PROTOCOL.md, "Aggregators". Not
// thread-safe: owned by the coordinator's loop thread.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "base/clock.h"
#include "base/event_log.h"
#include "base/ids.h"
#include "coordinator/ledger/record.h"
#include "coordinator/ledger/state.h"
#include "coordinator/protocol/messages.h"
#include "coordinator/rounds/blob_cache.h"
#include "coordinator/rounds/openings.h"

namespace fedmesh::rounds {

struct SubmitPayload {  // sign it with this node's key and hand it to the consensus
  ledger::RecordKind kind;
  JobId job;
  Bytes payload;
};
struct Reply {
  NodeId to;
  protocol::Message message;
};
struct Note {
  LogEvent event;
};
using AggregatorEffect = std::variant<SubmitPayload, Reply, Note>;
using AggregatorEffects = std::vector<AggregatorEffect>;

class Aggregator {
 public:
  // `blobs` outlives it: base models are read from it, new models are put into it.
  Aggregator(const ChainId& chain, const NodeId& self, BlobCache& blobs)
      : chain_(chain), self_(self), blobs_(blobs) {}

  // After every final block and on every tick: does what the state asks of this node, once.
  AggregatorEffects step(Instant now, const ledger::State& state);
  AggregatorEffects receive(Instant now, const ledger::State& state, const NodeId& from,
                            const protocol::OpeningFrame& frame);
  std::optional<Instant> next_wake() const { return wake_; }

 private:
  struct Duty {
    protocol::Slot slot;
    Openings openings;
    std::optional<protocol::RoundPhase> answered;  // the last phase in which a record was sent
  };

  void serve(Instant now, const ledger::State& state, const JobId& job, AggregatorEffects& effects);
  void avail(Instant now, const protocol::RoundState& round, Duty& duty,
             AggregatorEffects& effects);
  void attest(Instant now, const protocol::JobSpec& spec, const protocol::RoundState& round,
              Duty& duty, AggregatorEffects& effects);
  void wake_at(Instant at) { wake_ = wake_ ? std::min(*wake_, at) : at; }

  ChainId chain_;
  NodeId self_;
  BlobCache& blobs_;
  std::map<JobId, Duty> duties_;  // only jobs whose open round has this node as a member
  std::optional<Instant> wake_;
};

}  // namespace fedmesh::rounds
