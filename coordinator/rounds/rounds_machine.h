// The ledger's state machine: what records mean for nodes, jobs and rounds (PROTOCOL.md here). A
// pure function of genesis and blocks: integers only, id order, block time.
#pragma once

#include "coordinator/ledger/state_machine.h"

namespace fedmesh::rounds {

inline constexpr std::size_t kLiveJobsMax = 256;
inline constexpr std::size_t kLiveJobsPerOwnerMax = 16;
inline constexpr std::size_t kLiveParametersMax = std::size_t{1} << 26;  // of all live jobs
inline constexpr std::size_t kEnrolledMax = 4096;

// Immutable; Thread-safe.
class RoundsMachine final : public ledger::StateMachine {
 public:
  Result<void> init(const ledger::Genesis& genesis, ledger::State& state) const override;
  Result<void> apply(const ledger::BlockContext& context, const ledger::Record& record,
                     ledger::State& state) const override;
  void end_block(const ledger::BlockContext& context, ledger::State& state) const override;
  std::optional<Instant> next_deadline(const ledger::State& state) const override;
};

}  // namespace fedmesh::rounds
