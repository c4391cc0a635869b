#include <algorithm>
#include <chrono>
#include <cstdio>
#include <map>
#include <set>

#include "coordinator/audit/job_story.h"
#include "coordinator/audit/report.h"
#include "coordinator/protocol/decimal.h"

namespace fedmesh::audit {
namespace {

using protocol::RoundKind;
using protocol::RoundPhase;

constexpr std::size_t kColumns = 100;

std::string nano(std::int64_t value) {
  return protocol::decimal_text(value, protocol::kNanoDecimals);
}

std::string utc(std::int64_t ms) {
  using namespace std::chrono;
  const sys_time<milliseconds> at{milliseconds{ms}};
  const auto day = floor<days>(at);
  const year_month_day date{day};
  const hh_mm_ss time{floor<minutes>(at - day)};
  char text[48];
  std::snprintf(text, sizeof(text), "%04d-%02u-%02u %02d:%02d", static_cast<int>(date.year()),
                static_cast<unsigned>(date.month()), static_cast<unsigned>(date.day()),
                static_cast<int>(time.hours().count()), static_cast<int>(time.minutes().count()));
  return text;
}

// At least one space follows.
std::string padded(std::string text, std::size_t width) {
  text.resize(std::max(text.size() + 1, width), ' ');
  return text;
}

std::string cut(std::string text, std::size_t width) {
  if (text.size() > width) text = text.substr(0, width - 2) + "..";
  return text;
}

// `first` and then the words of `text`, continued under the end of `first`.
std::string wrapped(const std::string& first, const std::string& text) {
  std::string out = first;
  std::size_t column = first.size();
  std::size_t at = 0;
  while (at < text.size()) {
    std::size_t end = text.find(' ', at);
    if (end == std::string::npos) end = text.size();
    const std::string word = text.substr(at, end - at);
    if (column > first.size() && column + 1 + word.size() > kColumns) {
      out += "\n" + std::string(first.size(), ' ');
      column = first.size();
    }
    if (column > first.size()) {
      out += ' ';
      ++column;
    }
    out += word;
    column += word.size();
    at = end + 1;
  }
  return out + "\n";
}

std::string field(const char* name, const std::string& value) {
  return wrapped(padded(name, 15), value);
}

// "1-3, 5": training rounds by number; a query round is round 0.
std::string ranges(const std::set<std::uint64_t>& numbers) {
  std::string text;
  for (auto at = numbers.begin(); at != numbers.end();) {
    const std::uint64_t first = *at;
    std::uint64_t last = first;
    while (++at != numbers.end() && *at == last + 1) last = *at;
    text += (text.empty() ? "" : ", ") + std::to_string(first);
    if (last > first) text += "-" + std::to_string(last);
  }
  return text.empty() ? "none" : text;
}

std::string model_text(const AuditReport& report) {
  std::string out = "Audit of " + report.model_name + ": it is the model of " +
                    slot_text(report.slot) + " of job \"" + report.spec.name + "\"" +
                    (report.newest ? ", the newest one" : "") + ".";
  return wrapped("", out) + "\n" + field("sha256", report.model_sha256.hex()) +
         field("blob root", report.model_root.hex()) +
         field("size", std::to_string(report.model_bytes) + " bytes");
}

std::string ledger_text(const AuditReport& report) {
  return field("network", report.network + ", founded " + utc(report.genesis_ms) +
                              " UTC, consensus committee of " + std::to_string(report.committee)) +
         field("chain", report.chain.hex()) +
         field("", report.chain_pinned ? "the chain that you named"
                                       : "claimed by the file: compare with what the operator "
                                         "publishes") +
         field("ledger", std::to_string(report.blocks) + " blocks, " +
                             std::to_string(report.records) + " records, the last block at " +
                             utc(report.head_ms) + " UTC");
}

std::string privacy_text(const AuditReport& report) {
  const auto& privacy = report.spec.privacy;
  const std::string unit =
      privacy.unit == protocol::PrivacyUnit::record ? "per record" : "per worker";
  if (!report.spec.is_private()) return "none (unit " + unit.substr(4) + ")";
  std::string out = "Laplace noise " + unit + ", epsilon " + nano(privacy.epsilon_per_round_nano) +
                    " a round; charged " + nano(report.epsilon_charged_nano) +
                    " up to this model, " + nano(report.epsilon_spent_nano) + " in all, of " +
                    nano(privacy.total.epsilon_nano);
  if (privacy.total.delta_pico > 0)
    out += " at delta " + protocol::decimal_text(privacy.total.delta_pico, protocol::kPicoDecimals);
  return out;
}

std::string job_text(const AuditReport& report) {
  const auto& spec = report.spec;
  const auto& federation = spec.federation;
  std::string shape;
  for (const std::int64_t extent : spec.architecture.input_shape)
    shape += (shape.empty() ? "" : "x") + std::to_string(extent);
  return field("job", "\"" + spec.name + "\"") + field("", report.job.hex()) +
         field("state",
               std::string(to_string(report.state.phase)) + ": " + printable(report.state.reason)) +
         field("owner", report.state.owner.hex() +
                            (report.owner_name.empty() ? "" : " " + report.owner_name)) +
         field("config", report.state.config_hash.hex()) +
         field("model", std::string(models::to_string(spec.architecture.kind)) + ", input " +
                            shape + ", " + std::to_string(spec.architecture.classes) + " classes") +
         field("training", std::to_string(federation.rounds) + " rounds of " +
                               std::to_string(federation.min_updates) + " to " +
                               std::to_string(federation.max_participants) + " workers, rule " +
                               spec.aggregation.rule + ", learning rate " +
                               nano(spec.training.options.learning_rate_nano)) +
         field("privacy", privacy_text(report));
}

std::string result_text(const RoundEntry& round) {
  if (round.phase == RoundPhase::voided) return "void";
  if (!round.model) return std::string("open: ") + to_string(round.phase);
  return "attested " + std::to_string(round.attestations) + " of " +
         std::to_string(round.aggregators.size());
}

std::string score_text(const RoundEntry& round) {
  if (!round.validation) return "-";
  char text[16];
  std::snprintf(text, sizeof(text), "%.4f",
                static_cast<double>(round.validation->correct) /
                    static_cast<double>(round.validation->count));
  return text;
}

std::string rounds_text(const AuditReport& report) {
  const auto row = [](std::string slot, std::string kind, std::string result, std::string model,
                      std::string score, std::string epsilon, std::string used, std::string blocks,
                      const std::string& closed) {
    return padded(std::move(slot), 8) + padded(std::move(kind), 7) + padded(std::move(result), 17) +
           padded(std::move(model), 9) + padded(std::move(score), 7) +
           padded(std::move(epsilon), 11) + padded(std::move(used), 10) +
           padded(std::move(blocks), 11) + closed + "\n";
  };
  std::string out = row("round", "kind", "result", "sha256", "score", "epsilon", "in S", "blocks",
                        "closed (UTC)");
  for (const RoundEntry& round : report.rounds) {
    const auto in_set = std::count_if(round.cohort.begin(), round.cohort.end(),
                                      [](const CohortEntry& entry) { return entry.in_set; });
    std::string slot = std::to_string(round.slot.round.value);
    if (round.slot.attempt.value > 0) slot += "." + std::to_string(round.slot.attempt.value);
    out += row(slot, round.kind == RoundKind::training ? "train" : "query", result_text(round),
               round.model ? round.model->model_sha256.short_hex() : "-", score_text(round),
               round.charged ? nano(round.epsilon_nano) : "-",
               std::to_string(in_set) + " of " + std::to_string(round.cohort.size()),
               std::to_string(round.opened_height.value) + "-" +
                   (round.closed_height ? std::to_string(round.closed_height->value) : ""),
               round.closed_height ? utc(round.closed_ms) : "-");
    if (!round.reason.empty()) out += wrapped("        ", round.reason);
  }
  return out;
}

// Who took part in which rounds, once per worker and data root.
std::string people_text(const AuditReport& report) {
  struct Worker {
    std::string name;
    std::set<std::uint64_t> used, drawn;
  };
  std::map<std::tuple<NodeId, Digest, std::uint64_t>, Worker> workers;
  std::map<NodeId, std::pair<std::string, std::set<std::uint64_t>>> aggregators;
  for (const RoundEntry& round : report.rounds) {
    for (const CohortEntry& entry : round.cohort) {
      Worker& worker = workers[{entry.worker, entry.data_root, entry.record_count}];
      worker.name = entry.name;
      worker.drawn.insert(round.slot.round.value);
      if (entry.in_set) worker.used.insert(round.slot.round.value);
    }
    for (const AggregatorEntry& entry : round.aggregators) {
      aggregators[entry.member].first = entry.name;
      if (entry.attested) aggregators[entry.member].second.insert(round.slot.round.value);
    }
  }
  std::string out = padded("worker", 10) + padded("name", 22) + padded("data root", 11) +
                    padded("records", 11) + "rounds in S (of those drawn)\n";
  for (const auto& [key, worker] : workers)
    out += wrapped(padded(std::get<0>(key).short_hex(), 10) + padded(cut(worker.name, 20), 22) +
                       padded(std::get<1>(key).short_hex(), 11) +
                       padded(std::to_string(std::get<2>(key)), 11),
                   ranges(worker.used) + " (" + ranges(worker.drawn) + ")");
  out += "\n" + padded("aggregator", 12) + padded("name", 22) + "rounds attested\n";
  for (const auto& [member, entry] : aggregators)
    out += wrapped(padded(member.short_hex(), 12) + padded(cut(entry.first, 20), 22),
                   ranges(entry.second));
  return out;
}

}  // namespace

std::string printable(std::string_view text) {
  std::string out(text);
  for (char& c : out)
    if (c < ' ' || c > '~') c = '?';
  return out;
}

std::string to_text(const AuditReport& report) {
  std::string out = model_text(report) + "\n" + ledger_text(report) + "\n" + job_text(report) +
                    "\n" + rounds_text(report) + "\n" + people_text(report) + "\n";
  for (const Statement& statement : report.statements)
    out += wrapped(padded(statement.label(), 17), statement.text);
  return out;
}

}  // namespace fedmesh::audit
