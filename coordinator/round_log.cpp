#include "coordinator/round_log.h"

#include <algorithm>

#include "coordinator/rounds/state_access.h"

namespace fedmesh::coordinator {
namespace {

using protocol::RoundPhase;
using protocol::RoundState;

std::string ids_text(const std::vector<NodeId>& nodes) {
  std::string out;
  for (const NodeId& node : nodes) out += (out.empty() ? "" : " ") + node.hex();
  return out;
}

class Events {
 public:
  Events(const RoundState& round, Height height, Instant at)
      : round_(round), height_(height), at_(at) {}

  LogEvent& add(const std::string& what) { return add(what, at_); }
  LogEvent& add(const std::string& what, Instant at) {
    const auto number = [](std::uint64_t value) { return static_cast<std::int64_t>(value); };
    events_.push_back({at,
                       "round." + what,
                       {{"job", round_.job.hex()},
                        {"round", number(round_.slot.round.value)},
                        {"attempt", number(round_.slot.attempt.value)},
                        {"height", number(height_.value)}}});
    return events_.back();
  }
  void answer(const std::string& what, RoundPhase phase, const NodeId& node) {
    auto& fields = add(what).fields;
    fields.emplace_back("phase", protocol::to_string(phase));
    fields.emplace_back("node", node.hex());
  }
  std::vector<LogEvent> take() { return std::move(events_); }

 private:
  const RoundState& round_;
  Height height_;
  Instant at_;
  std::vector<LogEvent> events_;
};

// Whoever is missing in `before` answers with an empty slot.
template <class Slot, class Id>
Slot slot_of(const std::vector<Slot>& slots, Id Slot::*id, const NodeId& node) {
  const auto at =
      std::find_if(slots.begin(), slots.end(), [&](const Slot& slot) { return slot.*id == node; });
  return at == slots.end() ? Slot{} : *at;
}

void add_answers(const RoundState& before, const RoundState& after, Events& events) {
  for (const auto& now : after.members) {
    const auto was = slot_of(before.members, &protocol::MemberSlot::member, now.member);
    if (now.round_key && !was.round_key)
      events.answer("accepted", RoundPhase::accepting, now.member);
    if (now.availed && !was.availed) events.answer("availed", RoundPhase::checking, now.member);
    if (now.attested && !was.attested)
      events.answer("attested", RoundPhase::aggregating, now.member);
  }
  for (const auto& now : after.cohort) {
    // Both are in id order, and the cohort of a round never changes.
    const auto was = std::lower_bound(
        before.cohort.begin(), before.cohort.end(), now.worker,
        [](const protocol::CohortSlot& slot, const NodeId& node) { return slot.worker < node; });
    const bool known = was != before.cohort.end() && was->worker == now.worker;
    if (now.commitment && !(known && was->commitment))
      events.answer("committed", RoundPhase::committing, now.worker);
    if (now.reveal && !(known && was->reveal))
      events.answer("revealed", RoundPhase::revealing, now.worker);
  }
  for (const auto& now : after.validators) {
    const auto was = slot_of(before.validators, &protocol::ValidatorSlot::validator, now.validator);
    if (now.commitment && !was.commitment)
      events.answer("score_committed", RoundPhase::scoring, now.validator);
    if (now.score && !was.score) events.answer("scored", RoundPhase::unveiling, now.validator);
  }
}

void add_replaced(const RoundState& before, const RoundState& after, Events& events) {
  for (std::size_t i = before.replaced.size(); i < after.replaced.size(); ++i) {
    auto& fields = events.add("replaced").fields;
    fields.emplace_back("node", after.replaced[i].hex());
    for (std::size_t rank = 0; rank < before.members.size() && rank < after.members.size(); ++rank)
      if (before.members[rank].member == after.replaced[i])
        fields.emplace_back("by", after.members[rank].member.hex());
  }
}

void add_excluded(const RoundState& before, const RoundState& after, Events& events) {
  if (before.reveal_set_root || !after.reveal_set_root) return;
  for (const auto& slot : after.cohort) {
    if (!slot.reveal || slot.in_set) continue;
    auto& fields = events.add("excluded").fields;
    fields.emplace_back("node", slot.worker.hex());
    fields.emplace_back("yes", static_cast<std::int64_t>(slot.yes));
    fields.emplace_back("needed", static_cast<std::int64_t>(after.faults()) + 1);
  }
}

// How the phase of `before` ended, said by the event that follows it.
void add_end(const RoundState& before, const RoundState& after, Instant at, LogEvent& event) {
  const bool replacing = after.replaced.size() > before.replaced.size();
  std::vector<NodeId> missing = unanswered(after, before.phase);
  if (replacing)
    missing.assign(after.replaced.begin() + static_cast<std::ptrdiff_t>(before.replaced.size()),
                   after.replaced.end());
  const char* because = missing.empty()                     ? "all answered"
                        : at.ms >= before.deadline_ms       ? "deadline"
                        : after.phase == RoundPhase::voided ? "stopped"
                                                            : "quorum";
  event.fields.emplace_back("ended", protocol::to_string(before.phase));
  event.fields.emplace_back("because", because);
  event.fields.emplace_back("missing", ids_text(missing));
}

LogEvent& add_opened(const RoundState& round, Events& events) {
  LogEvent& event = events.add("opened", Instant{round.opened_ms});
  event.fields.emplace_back(
      "kind", round.kind == protocol::RoundKind::training ? "training" : "standardisation");
  event.fields.emplace_back("cohort", static_cast<std::int64_t>(round.cohort.size()));
  event.fields.emplace_back("members", static_cast<std::int64_t>(round.members.size()));
  return event;
}

LogEvent& add_phase(const RoundState& round, Events& events) {
  LogEvent& event = events.add("phase", Instant{round.phase_opened_ms});
  event.fields.emplace_back("phase", protocol::to_string(round.phase));
  event.fields.emplace_back("deadline_ms", round.deadline_ms);
  event.fields.emplace_back("awaited", ids_text(unanswered(round, round.phase)));
  return event;
}

LogEvent& add_over(const RoundState& round, Events& events) {
  if (round.phase == RoundPhase::voided) {
    LogEvent& event = events.add("void");
    event.fields.emplace_back("reason", round.reason);
    return event;
  }
  LogEvent& event = events.add("finished");
  const auto in_set = std::count_if(round.cohort.begin(), round.cohort.end(),
                                    [](const protocol::CohortSlot& slot) { return slot.in_set; });
  event.fields.emplace_back("in_set", static_cast<std::int64_t>(in_set));
  event.fields.emplace_back("attestations", static_cast<std::int64_t>(round.attestations));
  return event;
}

// Names make a log readable by itself.
void add_names(const ledger::State& state, const std::string& job_name, LogEvent& event) {
  std::string node_name;
  for (const auto& [name, value] : event.fields) {
    if (name != "node") continue;
    const auto id = NodeId::from_hex(std::get<std::string>(value));
    const auto node = id.ok() ? rounds::node_state(state, *id) : std::nullopt;
    if (node) node_name = node->name;
  }
  if (!node_name.empty()) event.fields.emplace_back("node_name", std::move(node_name));
  if (event.kind == "round.opened") event.fields.emplace_back("job_name", job_name);
}

}  // namespace

std::vector<NodeId> unanswered(const RoundState& round, RoundPhase phase) {
  std::vector<NodeId> out;
  const auto members = [&](const auto& answered) {
    for (const auto& slot : round.members)
      if (!answered(slot)) out.push_back(slot.member);
  };
  switch (phase) {
    case RoundPhase::accepting:
      members([](const auto& slot) { return slot.round_key.has_value(); });
      break;
    case RoundPhase::committing:
      for (const auto& slot : round.cohort)
        if (!slot.commitment) out.push_back(slot.worker);
      break;
    case RoundPhase::revealing:
      for (const auto& slot : round.cohort)
        if (slot.commitment && !slot.reveal) out.push_back(slot.worker);
      break;
    case RoundPhase::checking:
      members([](const auto& slot) { return slot.availed; });
      break;
    case RoundPhase::aggregating:
      members([](const auto& slot) { return slot.attested.has_value(); });
      break;
    case RoundPhase::scoring:
      for (const auto& slot : round.validators)
        if (!slot.commitment) out.push_back(slot.validator);
      break;
    case RoundPhase::unveiling:
      for (const auto& slot : round.validators)
        if (slot.commitment && !slot.score) out.push_back(slot.validator);
      break;
    case RoundPhase::finished:
    case RoundPhase::voided:
      break;
  }
  return out;
}

std::vector<LogEvent> round_events(const RoundState* before, const RoundState& after, Height height,
                                   Instant at) {
  Events events(after, height, at);
  if (before == nullptr) {
    add_opened(after, events);
    if (protocol::is_over(after.phase)) {
      add_over(after, events);
    } else {
      add_phase(after, events);
    }
    return events.take();
  }
  if (protocol::is_over(before->phase)) return {};
  add_answers(*before, after, events);
  add_excluded(*before, after, events);
  add_replaced(*before, after, events);
  const bool moved =
      before->phase != after.phase || before->phase_opened_ms != after.phase_opened_ms;
  if (!moved) return events.take();
  LogEvent& event =
      protocol::is_over(after.phase) ? add_over(after, events) : add_phase(after, events);
  add_end(*before, after, at, event);
  return events.take();
}

std::vector<LogEvent> RoundLog::step(const ledger::State& state,
                                     const std::vector<std::string>& changed, Height height,
                                     Instant at) {
  std::vector<std::string> keys;
  for (const std::string& key : changed)
    if (key.starts_with("round/")) keys.push_back(key);
  std::sort(keys.begin(), keys.end());  // the round that ends comes before the one that follows
  std::vector<LogEvent> out;
  for (const std::string& key : keys) {
    const auto round = rounds::require<RoundState>(state, key);
    const auto job = rounds::require<protocol::JobState>(state, protocol::job_key(round.job));
    const auto known = newest_.find(round.job);
    const bool same = known != newest_.end() && known->second.slot == round.slot;
    for (auto& event : round_events(same ? &known->second : nullptr, round, height, at)) {
      add_names(state, job.name, event);
      out.push_back(std::move(event));
    }
    if (protocol::is_terminal(job.phase)) {
      newest_.erase(round.job);
    } else {
      newest_.insert_or_assign(round.job, round);
    }
  }
  return out;
}

}  // namespace fedmesh::coordinator
