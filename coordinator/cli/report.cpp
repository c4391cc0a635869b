#include "coordinator/cli/report.h"

#include <algorithm>
#include <array>
#include <nlohmann/json.hpp>

#include "coordinator/cli/report_text.h"
#include "coordinator/protocol/decimal.h"

namespace fedmesh::cli {
namespace {

using Json = nlohmann::ordered_json;
using protocol::decimal_text;

// A column is wide enough for its longest cell.
class Table {
 public:
  explicit Table(std::vector<std::string> header) { add(std::move(header)); }
  void add(std::vector<std::string> row) {
    widths_.resize(row.size());
    for (std::size_t i = 0; i < row.size(); ++i)
      widths_[i] = std::max(widths_[i], terminal_width(row[i]));
    rows_.push_back(std::move(row));
  }
  std::string text() const {
    std::string out;
    for (const auto& row : rows_) {
      std::string line;
      for (std::size_t i = 0; i < row.size(); ++i)
        line += std::string(widths_[i] - terminal_width(row[i]) + (i == 0 ? 0 : 2), ' ') + row[i];
      out += line + "\n";
    }
    return out;
  }

 private:
  std::vector<std::vector<std::string>> rows_;
  std::vector<std::size_t> widths_;
};

Json scaled(const std::optional<std::int64_t>& micro) {
  if (!micro) return nullptr;
  return static_cast<double>(*micro) / 1e6;
}

Json count(const std::optional<std::uint64_t>& value) {
  if (!value) return nullptr;
  return *value;
}

Json round_json(const RoundRow& row) {
  return {{"round", row.round},
          {"attempt", row.attempt},
          {"kind", row.kind},
          {"workers", row.workers},
          {"cohort", row.cohort},
          {"validation_loss", scaled(row.loss_micro)},
          {"accuracy", scaled(row.accuracy_micro)},
          {"epsilon_spent", static_cast<double>(row.epsilon_spent_nano) / 1e9},
          {"bytes_up", count(row.bytes_up)},
          {"bytes_down", count(row.bytes_down)},
          {"duration_ms", row.duration_ms},
          {"aggregator", row.aggregator},
          {"ledger_height", row.ledger_height},
          {"note", row.note}};
}

std::string round_name(const RoundRow& row) {
  return std::to_string(row.round) + (row.attempt == 0 ? "" : "." + std::to_string(row.attempt)) +
         (row.kind == "training" ? "" : " (" + for_terminal(row.kind) + ")");
}

}  // namespace

const char* to_string(Evidence evidence) {
  switch (evidence) {
    case Evidence::proved:
      return "proved";
    case Evidence::attested:
      return "attested";
    case Evidence::claimed:
      return "claimed";
  }
  return "unknown";
}

std::string AuditStatement::label() const {
  if (evidence != Evidence::attested) return to_string(evidence);
  return "attested " + std::to_string(signers) + " of " + std::to_string(members);
}

std::string to_json(const JobReport& report) {
  Json out = {{"report_version", 1},
              {"name", report.name},
              {"job_id", report.job_id},
              {"chain_id", report.chain_id},
              {"outcome", report.outcome},
              {"reason", report.reason},
              {"model", {{"path", report.model_path}, {"sha256", report.model_sha256}}},
              {"privacy",
               {{"epsilon_total", static_cast<double>(report.epsilon_total_nano) / 1e9},
                {"epsilon_spent", static_cast<double>(report.epsilon_spent_nano) / 1e9},
                {"delta", static_cast<double>(report.delta_pico) / 1e12},
                {"protection", report.protection}}},
              {"rounds", Json::array()},
              {"audit", Json::array()}};
  for (const RoundRow& row : report.rounds) out["rounds"].push_back(round_json(row));
  for (const AuditStatement& statement : report.audit)
    out["audit"].push_back({{"evidence", to_string(statement.evidence)},
                            {"signers", statement.signers},
                            {"members", statement.members},
                            {"text", statement.text}});
  return out.dump(2, ' ', false, Json::error_handler_t::replace) + "\n";
}

std::string to_table(const JobReport& report) {
  Table table({"round", "workers", "validation loss", "accuracy", "ε spent", "bytes up/down",
               "seconds", "aggregator", "ledger height"});
  std::string notes;
  for (const RoundRow& row : report.rounds) {
    table.add({round_name(row), std::to_string(row.workers) + "/" + std::to_string(row.cohort),
               row.loss_micro ? micro_text(*row.loss_micro) : "-",
               row.accuracy_micro ? percent_text(*row.accuracy_micro) : "-",
               report.epsilon_total_nano > 0
                   ? decimal_text(row.epsilon_spent_nano, protocol::kNanoDecimals)
                   : "-",
               traffic_text(row, "-"), seconds_text(row.duration_ms), for_terminal(row.aggregator),
               std::to_string(row.ledger_height)});
    if (!row.note.empty())
      notes += "round " + round_name(row) + ": " + for_terminal(row.note) + "\n";
  }
  return table.text() + notes;
}

}  // namespace fedmesh::cli
