#include "tests/sim/simulation_report.h"

#include <cstdio>
#include <functional>
#include <nlohmann/json.hpp>

#include "coordinator/cli/command_support.h"

namespace fedmesh::sim {
namespace {

using nlohmann::json;

// The scores of one model in a run; nullptr where the run has none.
struct Row {
  std::string name;
  std::function<const Scores*(const Outcome&)> of;
};

std::vector<Row> rows_of(const Plan& plan) {
  std::vector<Row> out;
  if (plan.test.empty()) return out;
  out.push_back({"federated", [](const Outcome& run) {
                   return run.rounds.empty() ? nullptr : &run.rounds.back();
                 }});
  if (!plan.baselines) return out;
  out.push_back({"all data in one place",
                 [](const Outcome& run) { return run.pooled ? &*run.pooled : nullptr; }});
  for (std::size_t i = 0; i < plan.data.size(); ++i)
    out.push_back({"worker " + std::to_string(i + 1) + " alone", [i](const Outcome& run) {
                     return i < run.local.size() ? &run.local[i] : nullptr;
                   }});
  return out;
}

// Column `set` of the row over all runs; the pooled score where `set` is past the end.
Spread spread_of(const Row& row, const std::vector<Outcome>& outcomes, std::size_t set) {
  std::vector<double> values;
  for (const Outcome& run : outcomes)
    if (const Scores* scores = row.of(run))
      values.push_back((set < scores->sets.size() ? scores->sets[set] : scores->pooled).accuracy());
  return spread(values);
}

Spread validation_of(const std::vector<Outcome>& outcomes) {
  std::vector<double> values;
  for (const Outcome& run : outcomes)
    if (run.validation) values.push_back(*run.validation);
  return spread(values);
}

bool validated(const std::vector<Outcome>& outcomes) {
  return std::any_of(outcomes.begin(), outcomes.end(),
                     [](const Outcome& run) { return run.validation.has_value(); });
}

std::string cell(const Spread& value, bool single) {
  char out[48];
  std::snprintf(out, sizeof(out), single ? "%.1f %%" : "%.1f +- %.1f %%", 100 * value.mean,
                100 * value.deviation);
  return out;
}

json to_json_value(const Score& score) {
  return {{"rows", score.rows},
          {"correct", score.correct},
          {"accuracy", score.accuracy()},
          {"loss", score.loss}};
}

json to_json_value(const Scores& scores) {
  json sets = json::array();
  for (const Score& set : scores.sets) sets.push_back(to_json_value(set));
  return {{"sets", sets}, {"pooled", to_json_value(scores.pooled)}};
}

json to_json_value(const std::vector<Scores>& list) {
  json out = json::array();
  for (const Scores& scores : list) out.push_back(to_json_value(scores));
  return out;
}

json to_json_value(const Spread& value) {
  return {{"accuracy_mean", value.mean}, {"accuracy_deviation", value.deviation}};
}

json models_json(const Plan& plan, const std::vector<Outcome>& outcomes) {
  json out = json::array();
  for (const Row& row : rows_of(plan)) {
    json sets = json::array();
    for (std::size_t i = 0; i < plan.test.size(); ++i)
      sets.push_back(to_json_value(spread_of(row, outcomes, i)));
    out.push_back({{"name", row.name},
                   {"sets", sets},
                   {"pooled", to_json_value(spread_of(row, outcomes, plan.test.size()))}});
  }
  return out;
}

}  // namespace

std::string text_of(const Outcome& outcome) {
  return "seed " + std::to_string(outcome.seed) + " (simulated): " + outcome.report.outcome + ": " +
         outcome.report.reason + "\n" + to_table(outcome.report);
}

std::string summary_of(const Plan& plan, const std::vector<Outcome>& outcomes) {
  std::string out;
  const bool single = outcomes.size() == 1;
  const std::string over = single ? "one seed" : std::to_string(outcomes.size()) + " seeds";
  if (validated(outcomes) && !single) {
    const Spread value = validation_of(outcomes);
    char line[120];
    std::snprintf(line, sizeof(line), "accuracy over %s: mean %.4f, standard deviation %.4f\n",
                  over.c_str(), value.mean, value.deviation);
    out += line;
  }
  if (plan.test.empty()) return out;
  out += "accuracy on held-out data over " + over + (single ? "" : ", mean +- standard deviation") +
         " (simulated)\n";
  std::vector<std::vector<std::string>> cells = {{"MODEL"}};
  for (std::size_t i = 0; i < plan.test.size(); ++i) {
    cells[0].push_back("SET " + std::to_string(i + 1));
    out += "  set " + std::to_string(i + 1) + ": " + plan.test[i] + "\n";
  }
  cells[0].push_back("ALL ROWS");
  for (const Row& row : rows_of(plan)) {
    cells.push_back({row.name});
    for (std::size_t i = 0; i <= plan.test.size(); ++i)
      cells.back().push_back(cell(spread_of(row, outcomes, i), single));
  }
  return out + cli::table(cells);
}

std::string json_of(const Plan& plan, const std::vector<Outcome>& outcomes) {
  json runs = json::array();
  for (const Outcome& run : outcomes)
    runs.push_back({{"seed", run.seed},
                    {"report", json::parse(to_json(run.report))},
                    {"rounds", to_json_value(run.rounds)},
                    {"local", to_json_value(run.local)},
                    {"pooled", run.pooled ? to_json_value(*run.pooled) : json(nullptr)}});
  const bool has_validation = validated(outcomes);
  const Spread validation = validation_of(outcomes);
  const json out = {
      {"simulated", true},
      {"data", plan.data},
      {"test", plan.test},
      {"runs", runs},
      {"accuracy_mean", has_validation ? json(validation.mean) : json(nullptr)},
      {"accuracy_deviation", has_validation ? json(validation.deviation) : json(nullptr)},
      {"models", models_json(plan, outcomes)}};
  return out.dump(2, ' ', false, json::error_handler_t::replace) + "\n";
}

}  // namespace fedmesh::sim
