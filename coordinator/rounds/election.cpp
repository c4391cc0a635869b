#include "coordinator/rounds/election.h"

#include <algorithm>

#include "base/crypto/digest.h"
#include "coordinator/rounds/conduct.h"
#include "coordinator/rounds/draw.h"
#include "coordinator/rounds/state_access.h"

namespace fedmesh::rounds {
namespace {

constexpr std::uint32_t kTermLimit = 2;
constexpr std::size_t kReplacements = 4;
constexpr std::uint64_t kWeightCap = 1'000'000;

std::uint64_t weight_of(const protocol::NodeState& node) {
  return std::min<std::uint64_t>(
      static_cast<std::uint64_t>(std::max<std::int64_t>(node.conduct_micro, 1)), kWeightCap);
}

std::vector<Candidate> candidates_among(const ledger::State& state,
                                        const std::vector<NodeId>& nodes, protocol::Role role) {
  std::vector<Candidate> out;
  for (const NodeId& id : nodes) {
    const auto node = node_state(state, id);
    if (node && (node->roles & role) != 0) out.push_back({id, weight_of(*node)});
  }
  return out;
}

bool eligible(const protocol::NodeState& node, bool is_owner, bool allow_owner,
              std::uint32_t tier) {
  if (is_owner) return tier == 3 && allow_owner;
  if (tier < 2 && node.conduct_micro < kConductElectable) return false;
  return true;
}

}  // namespace

std::vector<protocol::CohortSlot> draw_cohort(const ledger::State& state,
                                              const protocol::JobState& job,
                                              const protocol::JobSpec& spec, const Digest& beacon) {
  std::vector<NodeId> order =
      draw_order(beacon, "cohort", candidates_among(state, job.enrolled, protocol::kRoleWorker));
  order.resize(std::min<std::size_t>(order.size(), spec.federation.max_participants));
  std::sort(order.begin(), order.end());
  std::vector<protocol::CohortSlot> cohort;
  for (const NodeId& worker : order) {
    const auto enrolment = require<protocol::Enrol>(state, protocol::enrol_key(job.id, worker));
    protocol::CohortSlot slot;
    slot.worker = worker;
    slot.data_root = enrolment.data_root;
    slot.record_count = enrolment.record_count;
    cohort.push_back(std::move(slot));
  }
  return cohort;
}

std::optional<Committee> elect_committee(const ledger::State& state, const protocol::JobState& job,
                                         const protocol::JobSpec& spec, const Digest& beacon) {
  const NodeId owner = crypto::node_id_of(job.owner.view());
  const auto listed = nodes_with_role(state, protocol::kRoleAggregator);
  for (std::uint32_t tier = 0; tier <= 3; ++tier) {
    std::vector<Candidate> candidates;
    for (const NodeId& id : listed) {
      const auto node = require<protocol::NodeState>(state, protocol::node_key(id));
      if (eligible(node, id == owner, spec.federation.allow_owner, tier))
        candidates.push_back({id, weight_of(node)});
    }
    std::vector<NodeId> order = draw_order(beacon, "aggregators", std::move(candidates));
    // The term limit binds rank 0 only, and only while somebody else can take it.
    const auto rested = std::find_if(order.begin(), order.end(), [&](const NodeId& id) {
      return tier > 0 ||
             require<protocol::NodeState>(state, protocol::node_key(id)).consecutive_terms <
                 kTermLimit;
    });
    if (rested == order.end()) continue;
    std::rotate(order.begin(), rested, rested + 1);
    std::size_t size = std::min<std::size_t>(order.size(), spec.aggregation.aggregators);
    size -= (size - 1) % 3;
    Committee committee;
    committee.tier = tier;
    committee.members.assign(order.begin(), order.begin() + static_cast<std::ptrdiff_t>(size));
    const std::size_t end = std::min(order.size(), size + kReplacements);
    committee.replacements.assign(order.begin() + static_cast<std::ptrdiff_t>(size),
                                  order.begin() + static_cast<std::ptrdiff_t>(end));
    return committee;
  }
  return std::nullopt;
}

std::vector<NodeId> draw_validators(const ledger::State& state, const protocol::JobState& job,
                                    const protocol::JobSpec& spec, const Digest& beacon) {
  std::vector<NodeId> order = draw_order(
      beacon, "validators", candidates_among(state, job.enrolled, protocol::kRoleValidator));
  std::erase(order, crypto::node_id_of(job.owner.view()));
  order.resize(std::min<std::size_t>(order.size(), spec.verification.validators));
  std::sort(order.begin(), order.end());
  return order;
}

}  // namespace fedmesh::rounds
