#include "coordinator/cli/round_timeline.h"

#include <algorithm>
#include <sstream>

namespace fedmesh::cli {
namespace {

constexpr std::size_t kEventsMax = 1'000'000;  // of one kind; more than any round has

std::vector<std::string> words(const std::string& text) {
  std::istringstream in(text);
  std::vector<std::string> out;
  for (std::string word; in >> word;) out.push_back(std::move(word));
  return out;
}

// Round events of the coordinator say at which height they became final; workers' notes do not.
bool is_round_event(const LoggedEvent& event) {
  return event.kind.starts_with("round.") && event.has("height");
}

bool is_refusal(const std::string& kind) {
  return kind.ends_with(".refused") || kind.ends_with(".rejected") || kind.ends_with(".abandoned");
}

// Puts the events of one attempt where they belong. An event that two logs tell counts once.
class Teller {
 public:
  explicit Teller(RoundTimeline& out) : out_(out) {}

  void tell(const LoggedEvent& event) {
    if (event.kind == "round.opened") {
      opened(event);
    } else if (event.kind == "round.phase") {
      end_phase(event);
      open_phase(event);
    } else if (event.kind == "round.replaced") {
      replaced(event);
    } else if (event.kind == "round.excluded") {
      excluded(event);
    } else if (event.kind == "round.finished" || event.kind == "round.void") {
      end_phase(event);
      over(event);
    } else if (event.has("phase") && event.has("node")) {
      answer(event);
    }
  }

 private:
  void opened(const LoggedEvent& event) {
    if (out_.opened_ms != 0) return;
    out_.opened_ms = event.at_ms;
    out_.kind = event.text("kind");
    out_.job_name = event.text("job_name");
  }

  PhaseTimeline* open(const std::string& phase) {
    for (auto& known : out_.phases)
      if (known.phase == phase && !known.ended_ms) return &known;
    return nullptr;
  }

  void open_phase(const LoggedEvent& event) {
    const std::string phase = event.text("phase");
    for (const auto& known : out_.phases)
      if (known.phase == phase && known.opened_ms == event.at_ms) return;
    PhaseTimeline next;
    next.phase = phase;
    next.opened_ms = event.at_ms;
    next.deadline_ms = event.number("deadline_ms");
    for (auto& node : words(event.text("awaited"))) next.nodes.push_back({std::move(node), {}, {}});
    out_.phases.push_back(std::move(next));
  }

  void end_phase(const LoggedEvent& event) {
    PhaseTimeline* phase = open(event.text("ended"));
    if (phase == nullptr) return;
    phase->ended_ms = event.at_ms;
    phase->because = event.text("because");
    for (const auto& node : words(event.text("missing"))) find(*phase, node).missing = true;
  }

  static PhaseAnswer& find(PhaseTimeline& phase, const std::string& node) {
    for (auto& known : phase.nodes)
      if (known.node == node) return known;
    phase.nodes.push_back({node, {}, {}});
    return phase.nodes.back();
  }

  void answer(const LoggedEvent& event) {
    PhaseTimeline* phase = open(event.text("phase"));
    if (phase == nullptr) return;
    auto& slot = find(*phase, event.text("node"));
    if (!slot.at) slot.at = event.at_ms;
  }

  void replaced(const LoggedEvent& event) {
    const Replacement next{event.at_ms, event.text("node"), event.text("by")};
    for (const auto& known : out_.replaced)
      if (known.node == next.node) return;
    out_.replaced.push_back(next);
  }

  void excluded(const LoggedEvent& event) {
    const Exclusion next{event.text("node"), event.number("yes"), event.number("needed")};
    for (const auto& known : out_.excluded)
      if (known.node == next.node) return;
    out_.excluded.push_back(next);
  }

  void over(const LoggedEvent& event) {
    out_.outcome = event.kind.substr(std::string("round.").size());
    out_.reason = event.text("reason");
    out_.closed_ms = event.at_ms;
    out_.in_set = std::max<std::int64_t>(0, event.number("in_set"));
    out_.attestations = std::max<std::int64_t>(0, event.number("attestations"));
  }

  RoundTimeline& out_;
};

// In order of answering; who did not come is last. Then: for whom did everybody wait at the end?
void complete(PhaseTimeline& phase, Instant now) {
  if (!phase.ended_ms)
    for (auto& node : phase.nodes) node.missing = !node.at;
  std::stable_sort(phase.nodes.begin(), phase.nodes.end(), [](const auto& a, const auto& b) {
    if (a.missing != b.missing) return b.missing;
    return a.at.value_or(INT64_MAX) < b.at.value_or(INT64_MAX);
  });
  std::int64_t last = phase.opened_ms, before_last = phase.opened_ms;
  const PhaseAnswer* slowest = nullptr;
  for (const auto& node : phase.nodes) {
    if (node.missing) phase.waited.nodes.push_back(node.node);
    if (!node.at || node.missing) continue;
    before_last = last;
    last = std::max(last, *node.at);
    slowest = &node;
  }
  if (!phase.waited.nodes.empty()) {
    phase.waited.ms = std::max<std::int64_t>(0, phase.ended_ms.value_or(now.ms) - last);
  } else if (slowest != nullptr) {
    phase.waited = {{slowest->node}, last - before_last};
  }
}

}  // namespace

std::size_t PhaseTimeline::answered() const {
  return static_cast<std::size_t>(
      std::count_if(nodes.begin(), nodes.end(), [](const auto& node) { return !node.missing; }));
}

std::string RoundTimeline::name_of(const std::string& node) const {
  const auto at = names.find(node);
  return at == names.end() || at->second.empty() ? node.substr(0, 8) : at->second;
}

bool TimelineBuilder::learn(const LoggedEvent& event) {
  if (event.text("job") != job_) return false;
  const std::string node_name = event.text("node_name");
  if (!node_name.empty()) names_.try_emplace(event.text("node"), node_name);
  const std::int64_t round = event.number("round");
  if (is_round_event(event)) rounds_.insert(round);
  if (round != round_) return false;
  if (is_round_event(event)) attempts_.insert(event.number("attempt"));
  return true;
}

void TimelineBuilder::add_proven(const LoggedEvent& event) {
  if (learn(event)) proven_.push_back(event);
}

void TimelineBuilder::add_logged(const LoggedEvent& event, const std::string& source) {
  // The coordinator does not know which round a refused record was meant for.
  if (event.kind == "record.rejected" && inside_.contains(source) &&
      rejections_.size() < kEventsMax)
    rejections_.push_back({event, source});
  if (!learn(event)) return;
  if (!is_round_event(event)) {
    if (notes_.size() < kEventsMax) notes_.push_back({event, source});
    return;
  }
  if (event.kind == "round.opened") inside_.insert(source);
  if (event.kind == "round.finished" || event.kind == "round.void") inside_.erase(source);
  if (logged_.size() < kEventsMax) logged_.push_back(event);
}

Result<std::int64_t> TimelineBuilder::chosen_attempt() const {
  if (attempts_.empty()) {
    if (rounds_.empty())
      return not_found(
          "no round of this job is in what was read; give --ledger EXPORT or --coordinator "
          "HOST:PORT, or the coordinator's event log with --log FILE");
    return not_found("round " + std::to_string(round_) +
                     " of this job is not in what was read; it has rounds " +
                     std::to_string(*rounds_.begin()) + " to " + std::to_string(*rounds_.rbegin()));
  }
  if (!attempt_) return *attempts_.rbegin();
  if (attempts_.contains(*attempt_)) return *attempt_;
  return not_found("round " + std::to_string(round_) + " has no attempt " +
                   std::to_string(*attempt_) + ", the newest is " +
                   std::to_string(*attempts_.rbegin()));
}

Result<RoundTimeline> TimelineBuilder::build(Instant now) const {
  RoundTimeline out;
  FM_TRY(out.attempt, chosen_attempt());
  out.job = job_;
  out.round = round_;
  out.attempts.assign(attempts_.begin(), attempts_.end());
  out.names = names_;
  out.skipped_lines = skipped_;
  const auto is_chosen = [&](const LoggedEvent& event) {
    return event.number("attempt") == out.attempt;
  };
  out.proven = std::any_of(proven_.begin(), proven_.end(), is_chosen);
  Teller teller(out);
  for (const auto& event : out.proven ? proven_ : logged_)
    if (is_chosen(event)) teller.tell(event);
  if (out.opened_ms == 0 && !out.phases.empty()) out.opened_ms = out.phases.front().opened_ms;
  for (auto& phase : out.phases) complete(phase, now);
  add_notes(out);
  return out;
}

void TimelineBuilder::add_notes(RoundTimeline& out) const {
  const auto note = [](const Entry& entry) {
    return TimelineNote{entry.event.at_ms, entry.source, entry.event.kind,
                        entry.event.text("detail")};
  };
  for (const auto& entry : notes_) {
    if (entry.event.has("attempt") && entry.event.number("attempt") != out.attempt) continue;
    (is_refusal(entry.event.kind) ? out.refusals : out.notes).push_back(note(entry));
  }
  for (const auto& entry : rejections_) {
    const bool during = entry.event.at_ms >= out.opened_ms &&
                        entry.event.at_ms <= out.closed_ms.value_or(INT64_MAX);
    if (during) out.refusals.push_back(note(entry));
  }
  const auto by_time = [](const auto& a, const auto& b) { return a.at_ms < b.at_ms; };
  std::stable_sort(out.refusals.begin(), out.refusals.end(), by_time);
  std::stable_sort(out.notes.begin(), out.notes.end(), by_time);
}

}  // namespace fedmesh::cli
