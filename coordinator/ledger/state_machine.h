// What blocks mean. The chain calls it; coordinator/rounds implements it. Every implementation is a
// pure function of (genesis, blocks): integers only, no clock, no randomness, no unordered
// iteration, the same result on every machine.
#pragma once

#include <optional>

#include "base/clock.h"
#include "base/crypto/keys.h"
#include "base/ids.h"
#include "base/result.h"
#include "coordinator/ledger/genesis.h"
#include "coordinator/ledger/record.h"
#include "coordinator/ledger/state.h"

namespace fedmesh::ledger {

struct BlockContext {
  ChainId chain;
  Height height;
  Instant timestamp;  // of the block: the only time there is
  crypto::PublicKey proposer;
};

class StateMachine {
 public:
  virtual ~StateMachine() = default;

  // The state before block 1. An error (a genesis it cannot work with) prevents opening the chain.
  virtual Result<void> init(const Genesis& genesis, State& state) const = 0;

  // Before the records. An error makes the block invalid.
  virtual Result<void> begin_block(const BlockContext& /*context*/, State& /*state*/) const {
    return {};
  }

  // Called in block order for records whose envelope, signature and author_seq hold. An error means
  // inadmissible, and makes a block that contains the record invalid; the caller undoes whatever
  // was changed before the error. It must refuse authors it does not know and jobs that do not
  // exist (but for the record that creates one): each (author, job) that passes costs a state entry
  // for ever, each job a log.
  virtual Result<void> apply(const BlockContext& context, const Record& record,
                             State& state) const = 0;

  // After the records: derived transitions and every deadline ≤ context.timestamp.
  virtual void end_block(const BlockContext& context, State& state) const = 0;

  // The earliest time at which a block would change something without any record. A due deadline
  // counts as a waiting record, so an idle chain still closes phases.
  virtual std::optional<Instant> next_deadline(const State& state) const = 0;
};

}  // namespace fedmesh::ledger
