// The network whose coordinator the target `coordinator` talks to: a hub, an owner, two workers.
#pragma once

#include "coordinator/ledger/genesis.h"
#include "tests/coordinator/protocol/sample_job.h"

namespace fedmesh::fuzz {

inline crypto::SigningKey network_key(int number) {
  return crypto::SigningKey::from_seed(
      crypto::Secret<32>(protocol::sample_id(static_cast<std::uint8_t>(100 + number)).bytes));
}

inline ledger::Genesis network_genesis() {
  ledger::Genesis genesis;
  genesis.network_name = "fuzzed";
  genesis.created_ms = 1'700'000'000'000;
  genesis.committee = {network_key(1).public_key()};
  genesis.operators = {network_key(2).public_key()};
  genesis.participants = {
      {network_key(1).public_key(), ledger::kCoordinator | ledger::kAggregator, "hub"},
      {network_key(2).public_key(), ledger::kSubmitter, "owner"},
      {network_key(3).public_key(), ledger::kWorker | ledger::kValidator, "worker a"},
      {network_key(4).public_key(), ledger::kWorker, "worker b"}};
  return genesis;
}

// Two workers, no noise, no evaluation.
inline protocol::JobSpec network_job() {
  protocol::JobSpec spec = protocol::worker_job();
  const protocol::JobSpec table = protocol::record_job();
  spec.schema = table.schema;
  spec.architecture = table.architecture;
  spec.federation.min_updates = 2;
  spec.federation.max_participants = 2;
  return spec;
}

}  // namespace fedmesh::fuzz
