// Double commitments: two different ones that a worker signed for one round prove by themselves
// that it cheated. Whoever sees both makes a record of them (PROTOCOL.md, "Evidence").
#pragma once

#include <map>
#include <optional>

#include "coordinator/ledger/chain.h"
#include "coordinator/ledger/state_machine.h"
#include "coordinator/protocol/round_records.h"

namespace fedmesh::rounds {

// Takes every role from the offender, once per slot.
Result<void> apply_evidence(const ledger::BlockContext& context, const ledger::Record& record,
                            ledger::State& state);

// Looks at commit records as they come in, whether or not they can become final. Bounded. Not
// thread-safe: owned by the coordinator.
class EvidenceCollector {
 public:
  static constexpr std::size_t kCommitsMax = 16384;

  // Evidence, if this record contradicts one that was seen before or is final. The record is new to
  // the chain; its signature need not have been checked.
  std::optional<protocol::Evidence> observe(ledger::Chain& chain, const ledger::Record& record);

 private:
  struct Key {
    NodeId worker;
    JobId job;
    protocol::Slot slot;
    friend auto operator<=>(const Key&, const Key&) = default;
  };
  std::map<Key, ledger::Record> seen_;  // the first of each slot; of open rounds only
  Height cleaned_;
};

}  // namespace fedmesh::rounds
