// How a round's timeline is printed.
#include <nlohmann/json.hpp>

#include "coordinator/cli/command_support.h"
#include "coordinator/cli/report_text.h"
#include "coordinator/cli/round_timeline.h"

namespace fedmesh::cli {
namespace {

using Json = nlohmann::ordered_json;

constexpr std::size_t kNamesShown = 8;

std::string seconds(std::int64_t ms) { return nano_text(ms * 1'000'000, 3) + " s"; }

std::string name(const RoundTimeline& timeline, const std::string& node) {
  return for_terminal(timeline.name_of(node));
}

std::string waited_text(const RoundTimeline& timeline, const PhaseTimeline& phase) {
  if (phase.waited.nodes.empty()) return "-";
  std::string out;
  for (std::size_t i = 0; i < phase.waited.nodes.size() && i < kNamesShown; ++i)
    out += (i == 0 ? "" : ", ") + name(timeline, phase.waited.nodes[i]);
  if (phase.waited.nodes.size() > kNamesShown)
    out += " and " + std::to_string(phase.waited.nodes.size() - kNamesShown) + " more";
  const bool came = phase.nodes.empty() || !phase.nodes.back().missing;
  return out +
         (came             ? ", "
          : phase.ended_ms ? " (never came), "
                           : " (not yet), ") +
         seconds(phase.waited.ms);
}

std::string phases_text(const RoundTimeline& timeline) {
  std::vector<std::vector<std::string>> rows = {
      {"PHASE", "START", "TOOK", "ANSWERED", "ENDED BY", "WAITED LAST FOR"}};
  for (const auto& phase : timeline.phases)
    rows.push_back({for_terminal(phase.phase), "+" + seconds(phase.opened_ms - timeline.opened_ms),
                    phase.ended_ms ? seconds(*phase.ended_ms - phase.opened_ms) : "-",
                    std::to_string(phase.answered()) + " of " + std::to_string(phase.nodes.size()),
                    phase.ended_ms ? for_terminal(phase.because) : "(open)",
                    waited_text(timeline, phase)});
  return table(rows);
}

std::string answer_text(const PhaseTimeline& phase, const PhaseAnswer& answer) {
  if (answer.missing) return phase.ended_ms ? "never" : "not yet";
  return answer.at ? "+" + seconds(*answer.at - phase.opened_ms) : "yes";
}

// A row per node, a column per phase: how long after its opening the node answered.
std::string nodes_text(const RoundTimeline& timeline) {
  std::vector<std::vector<std::string>> rows = {{"NODE"}};
  std::map<std::string, std::size_t> row_of;
  for (std::size_t i = 0; i < timeline.phases.size(); ++i) {
    rows[0].push_back(for_terminal(timeline.phases[i].phase));
    for (const auto& answer : timeline.phases[i].nodes) {
      const auto [at, fresh] = row_of.try_emplace(answer.node, rows.size());
      if (fresh)
        rows.push_back(
            {name(timeline, answer.node) + " (" + for_terminal(answer.node.substr(0, 8)) + ")"});
      auto& row = rows[at->second];
      row.resize(i + 2, "-");
      row[i + 1] = answer_text(timeline.phases[i], answer);
    }
  }
  for (auto& row : rows) row.resize(timeline.phases.size() + 1, "-");
  return table(rows);
}

std::string notes_text(const RoundTimeline& timeline, const std::vector<TimelineNote>& notes) {
  std::vector<std::vector<std::string>> rows;
  for (const auto& note : notes)
    rows.push_back({"  " + std::string(note.at_ms < timeline.opened_ms ? "" : "+") +
                        seconds(note.at_ms - timeline.opened_ms),
                    for_terminal(note.source), for_terminal(note.kind), for_terminal(note.detail)});
  return table(rows);
}

std::string heading(const RoundTimeline& timeline) {
  std::string out = "job " + for_terminal(timeline.job_name) + " " +
                    for_terminal(timeline.job.substr(0, 12)) + ", round " +
                    std::to_string(timeline.round) + ", attempt " +
                    std::to_string(timeline.attempt) + " (" + for_terminal(timeline.kind) +
                    "): " + for_terminal(timeline.outcome);
  if (timeline.closed_ms) out += ", " + seconds(*timeline.closed_ms - timeline.opened_ms);
  if (!timeline.reason.empty()) out += "\n  " + for_terminal(timeline.reason);
  if (timeline.outcome == "finished")
    out += "\n  " + std::to_string(timeline.in_set) + " updates counted, " +
           std::to_string(timeline.attestations) + " attestations";
  out += "\nopened " + time_text(timeline.opened_ms) +
         (timeline.proven ? "; proven by the ledger\n"
                          : "; as the event log says, not proven (--ledger, --coordinator)\n");
  if (timeline.attempts.size() > 1) {
    out += "attempts known:";
    for (const auto attempt : timeline.attempts) out += " " + std::to_string(attempt);
    out += " (--attempt N shows another)\n";
  }
  return out;
}

Json notes_json(const std::vector<TimelineNote>& notes) {
  Json out = Json::array();
  for (const auto& note : notes)
    out.push_back({{"at_ms", note.at_ms},
                   {"log", note.source},
                   {"event", note.kind},
                   {"detail", note.detail}});
  return out;
}

template <class T>
Json nullable(const std::optional<T>& value) {
  return value ? Json(*value) : Json(nullptr);
}

Json phase_json(const RoundTimeline& timeline, const PhaseTimeline& phase) {
  Json nodes = Json::array();
  for (const auto& answer : phase.nodes) {
    const auto after = answer.at ? std::optional(*answer.at - phase.opened_ms) : std::nullopt;
    nodes.push_back({{"node", answer.node},
                     {"name", timeline.name_of(answer.node)},
                     {"answered", !answer.missing},
                     {"at_ms", nullable(answer.at)},
                     {"after_ms", nullable(after)}});
  }
  const auto took =
      phase.ended_ms ? std::optional(*phase.ended_ms - phase.opened_ms) : std::nullopt;
  return {{"phase", phase.phase},
          {"opened_ms", phase.opened_ms},
          {"deadline_ms", phase.deadline_ms},
          {"ended_ms", nullable(phase.ended_ms)},
          {"duration_ms", nullable(took)},
          {"ended_by", phase.because},
          {"waited_for", {{"nodes", phase.waited.nodes}, {"ms", phase.waited.ms}}},
          {"nodes", std::move(nodes)}};
}

}  // namespace

std::string to_text(const RoundTimeline& timeline) {
  std::string out = heading(timeline);
  out += "\n" + phases_text(timeline) + "\n" + nodes_text(timeline);
  for (const auto& one : timeline.replaced)
    out += "replaced: aggregator " + name(timeline, one.node) + " did not accept in time, " +
           (one.by.empty() ? "nobody" : name(timeline, one.by)) + " took its place\n";
  for (const auto& one : timeline.excluded)
    out += "not counted: " + name(timeline, one.node) + " revealed, but " +
           std::to_string(one.yes) + " aggregators could check its update, " +
           std::to_string(one.needed) + " needed\n";
  if (!timeline.refusals.empty())
    out += "\nrefused or given up meanwhile:\n" + notes_text(timeline, timeline.refusals);
  if (!timeline.notes.empty())
    out += "\nfrom the nodes' own logs (their clocks):\n" + notes_text(timeline, timeline.notes);
  if (timeline.skipped_lines > 0)
    out += "\n" + std::to_string(timeline.skipped_lines) +
           " lines of the logs were skipped: damaged, or not events\n";
  return out;
}

std::string to_json(const RoundTimeline& timeline) {
  Json out = {{"explain_version", 1},
              {"job", timeline.job},
              {"job_name", timeline.job_name},
              {"round", timeline.round},
              {"attempt", timeline.attempt},
              {"attempts", timeline.attempts},
              {"kind", timeline.kind},
              {"outcome", timeline.outcome},
              {"reason", timeline.reason},
              {"proven", timeline.proven},
              {"opened_ms", timeline.opened_ms},
              {"closed_ms", nullable(timeline.closed_ms)},
              {"updates_counted", timeline.in_set},
              {"attestations", timeline.attestations},
              {"phases", Json::array()},
              {"replaced", Json::array()},
              {"excluded", Json::array()}};
  for (const auto& phase : timeline.phases) out["phases"].push_back(phase_json(timeline, phase));
  for (const auto& one : timeline.replaced)
    out["replaced"].push_back({{"at_ms", one.at_ms}, {"node", one.node}, {"by", one.by}});
  for (const auto& one : timeline.excluded)
    out["excluded"].push_back({{"node", one.node}, {"yes", one.yes}, {"needed", one.needed}});
  out["refusals"] = notes_json(timeline.refusals);
  out["notes"] = notes_json(timeline.notes);
  out["skipped_lines"] = timeline.skipped_lines;
  return out.dump(2, ' ', false, Json::error_handler_t::replace) + "\n";
}

}  // namespace fedmesh::cli
