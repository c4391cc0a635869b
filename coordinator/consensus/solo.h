// The committee of one (n = 1, q = 1): whoever holds its key decides alone, and what it decides is
// final and verifiable like any other block. No fork is possible unless the key signs two blocks at
// one height; a crash before a block is stored forgets its vote together with it, and a vote is
// published only after the block is stored.
#pragma once

#include <memory>
#include <optional>

#include "base/clock.h"
#include "base/crypto/keys.h"
#include "base/result.h"
#include "coordinator/consensus/consensus.h"
#include "coordinator/consensus/pool.h"
#include "coordinator/ledger/chain.h"

namespace fedmesh::consensus {

struct SoloOptions {
  PoolLimits pool;
  ledger::BlockLimits block;
  // Blocks in one step; what is left is done in the next one, asked for at once by WakeAt.
  std::size_t blocks_per_step = 16;
};

// Rules. Upon Submit: every record is checked; what cannot enter any block is rejected, the rest
// waits. Then, and upon Tick, while records wait or a deadline of the state machine is due:
// propose, certify with the own finalize vote, commit, report. Records that the block refused are
// rejected with the reason. There is no empty block except for a due deadline, and one that a block
// did not clear is not tried again until it changes. view = height.
class Solo final : public Consensus {
 public:
  // invalid_argument: the genesis' committee is not exactly this key. The chain must outlive it.
  static Result<std::unique_ptr<Solo>> create(ledger::Chain& chain, crypto::SigningKey key,
                                              const SoloOptions& options = {});

  Effects step(Instant now, const Event& event) override;  // peer messages have no meaning here
  std::size_t pending_records() const override { return pool_.size(); }

 private:
  Solo(ledger::Chain& chain, crypto::SigningKey key, const SoloOptions& options);
  void submit(const Submit& event, Effects& effects);
  bool deadline_due(Instant now) const;
  bool make_block(Instant now, Effects& effects);  // false: nothing was finalised
  void run(Instant now, Effects& effects);

  ledger::Chain& chain_;
  crypto::SigningKey key_;
  SoloOptions options_;
  RecordPool pool_;
  std::optional<Instant> uncleared_deadline_;
  bool halted_ = false;
};

}  // namespace fedmesh::consensus
