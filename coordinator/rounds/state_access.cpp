#include "coordinator/rounds/state_access.h"

#include <algorithm>

namespace fedmesh::rounds {
namespace {

constexpr const char* kLiveKey = "live";

}  // namespace

std::vector<JobId> live_jobs(const ledger::State& state) {
  return load<std::vector<JobId>>(state, kLiveKey).value_or(std::vector<JobId>{});
}

void add_live_job(ledger::State& state, const JobId& job) {
  auto jobs = live_jobs(state);
  jobs.insert(std::upper_bound(jobs.begin(), jobs.end(), job), job);
  store(state, kLiveKey, jobs);
}

void remove_live_job(ledger::State& state, const JobId& job) {
  auto jobs = live_jobs(state);
  std::erase(jobs, job);
  store(state, kLiveKey, jobs);
}

std::optional<protocol::NodeState> node_state(const ledger::State& state, const NodeId& node) {
  return load<protocol::NodeState>(state, protocol::node_key(node));
}

bool has_role(const ledger::State& state, const NodeId& node, protocol::Role role) {
  const auto known = node_state(state, node);
  return known && (known->roles & role) != 0;
}

std::vector<NodeId> nodes_with_role(const ledger::State& state, protocol::Role role) {
  std::vector<NodeId> nodes;
  const std::string prefix = protocol::kNodePrefix;
  for (const auto& [key, value] : state.prefix(prefix)) {
    const auto id = NodeId::from_hex(std::string_view(key).substr(prefix.size()));
    const auto node = protocol::decode_state<protocol::NodeState>(value);
    FM_CHECK(id.ok() && node.ok(), "the state holds only what this module wrote");
    if ((node->roles & role) != 0) nodes.push_back(*id);
  }
  return nodes;
}

std::string attest_key(const JobId& job, const protocol::Slot& slot, const NodeId& member) {
  return "attest/" + protocol::round_key(job, slot) + "/" + member.hex();
}

std::string operator_key(const NodeId& node) { return "operator/" + node.hex(); }

}  // namespace fedmesh::rounds
