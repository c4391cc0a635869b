#include "coordinator/rounds/conduct.h"

#include <algorithm>

#include "coordinator/rounds/state_access.h"

namespace fedmesh::rounds {
namespace {

void credit(ledger::State& state, const NodeId& node, bool done) {
  auto known = node_state(state, node);
  if (!known) return;
  known->conduct_micro = conduct_after(known->conduct_micro, done);
  store(state, protocol::node_key(node), *known);
}

}  // namespace

std::int64_t conduct_after(std::int64_t conduct_micro, bool done) {
  const std::int64_t target = done ? 1'000'000 : 0;
  return conduct_micro + (target - conduct_micro) / 20;
}

void settle_conduct(ledger::State& state, const protocol::RoundState& round) {
  using protocol::CohortSlot;
  const auto revealed = std::count_if(round.cohort.begin(), round.cohort.end(),
                                      [](const CohortSlot& slot) { return slot.reveal; });
  const bool incident = revealed * 10 < static_cast<std::ptrdiff_t>(round.cohort.size()) * 6;
  for (const auto& slot : round.cohort)
    if (slot.in_set || !incident) credit(state, slot.worker, slot.in_set);
  for (const auto& member : round.members)
    credit(state, member.member,
           round.aggregate && member.attested && *member.attested == round.aggregate->binding);
  for (const NodeId& silent : round.replaced) credit(state, silent, false);
  for (const auto& validator : round.validators)
    credit(state, validator.validator, validator.score.has_value());
}

}  // namespace fedmesh::rounds
