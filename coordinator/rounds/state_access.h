// Typed access to the ledger state: what coordinator/protocol/state.h describes, under its keys.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "base/check.h"
#include "coordinator/ledger/state.h"
#include "coordinator/protocol/state.h"

namespace fedmesh::rounds {

template <class T>
std::optional<T> load(const ledger::State& state, const std::string& key) {
  const T* value = state.decoded<T>(key, [](const Bytes& raw) {
    auto decoded = protocol::decode_state<T>(raw);
    FM_CHECK(decoded.ok(), "the state holds only what this module wrote");
    return std::move(decoded).value();
  });
  if (value == nullptr) return std::nullopt;
  return *value;
}

// For entries that exist whenever the caller gets there.
template <class T>
T require(const ledger::State& state, const std::string& key) {
  auto value = load<T>(state, key);
  FM_CHECK(value.has_value(), "a state entry that another one refers to exists");
  return std::move(*value);
}

template <class T>
void store(ledger::State& state, const std::string& key, const T& value) {
  state.put(key, codec::encode(value));
}

// Jobs that are not in a terminal phase, in id order: kept as one entry so that no block scans
// ended jobs.
std::vector<JobId> live_jobs(const ledger::State& state);
void add_live_job(ledger::State& state, const JobId& job);
void remove_live_job(ledger::State& state, const JobId& job);

std::optional<protocol::NodeState> node_state(const ledger::State& state, const NodeId& node);
bool has_role(const ledger::State& state, const NodeId& node, protocol::Role role);
// Every node with the role, in id order.
std::vector<NodeId> nodes_with_role(const ledger::State& state, protocol::Role role);

std::string attest_key(const JobId& job, const protocol::Slot& slot, const NodeId& member);
std::string operator_key(const NodeId& node);

}  // namespace fedmesh::rounds
