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

void settle_conduct(ledger::State& state, const protocol::RoundState& round,
                    std::optional<protocol::RoundPhase> failed_in) {
  using protocol::CohortSlot;
  using protocol::RoundPhase;
  const auto revealed = std::count_if(round.cohort.begin(), round.cohort.end(),
                                      [](const CohortSlot& slot) { return slot.reveal; });
  const bool incident = revealed * 10 < static_cast<std::ptrdiff_t>(round.cohort.size()) * 6;
  for (const auto& slot : round.cohort) {
    // Where the aggregators failed, whoever revealed had done its part.
    const bool done = failed_in ? slot.reveal.has_value() : slot.in_set;
    if (done || !incident) credit(state, slot.worker, done);
  }
  for (const auto& member : round.members) {
    if (!failed_in) {
      credit(state, member.member, round.aggregate && member.attested == round.aggregate->binding);
    } else if ((*failed_in == RoundPhase::accepting && !member.round_key) ||
               (*failed_in == RoundPhase::checking && !member.availed) ||
               (*failed_in == RoundPhase::aggregating && !member.attested)) {
      credit(state, member.member, false);
    }
  }
  for (const NodeId& silent : round.replaced) credit(state, silent, false);
  for (const auto& validator : round.validators)
    credit(state, validator.validator, validator.score.has_value());
}

}  // namespace fedmesh::rounds
