// fedmesh-simulator: runs a job's federation in one process and one thread under virtual time, with
// real training. `fedmesh simulate` starts it.
#include <cmath>
#include <cstdio>
#include <nlohmann/json.hpp>

#include "base/options.h"
#include "coordinator/audit/audit.h"
#include "coordinator/cli/job_report.h"
#include "coordinator/cli/jobs.h"
#include "tests/sim/federation.h"
#include "worker/trainer/runner/torch_executor.h"

namespace fedmesh::sim {
namespace {

Command command() {
  Command root{.name = "fedmesh-simulator", .help = "Simulates a job's federation."};
  root.options = {
      {.name = "job", .value = "FILE", .help = "job file", .required = true},
      {.name = "workers",
       .kind = OptionKind::integer,
       .fallback = "5",
       .help = "how many workers",
       .minimum = 1,
       .maximum = 4096},
      {.name = "seed", .kind = OptionKind::integer, .fallback = "1", .help = "first seed"},
      {.name = "seeds",
       .kind = OptionKind::integer,
       .fallback = "1",
       .help = "how many runs",
       .minimum = 1,
       .maximum = 100000},
      {.name = "data", .kind = OptionKind::list, .help = "a worker's data", .commas = false},
      {.name = "format",
       .fallback = "table",
       .help = "how results are printed",
       .choices = {"table", "json"}}};
  return root;
}

// Generated data for the built-in tasks; any other job names its workers' data.
Result<std::vector<std::string>> data_for(const protocol::JobSpec& spec, const Options& options) {
  auto data = options.list("data");
  const auto workers = static_cast<std::size_t>(options.integer("workers"));
  if (!data.empty()) return data;
  for (std::size_t i = 0; i < workers; ++i) {
    const std::string place = std::to_string(i);
    const std::string all = std::to_string(workers);
    if (spec.schema.format == models::DataFormat::images) {
      data.push_back("digits:rows=" + std::to_string(800 * workers) + ",seed=3,part=" + place +
                     ",parts=" + all);
    } else {
      data.push_back("clinics:silo=" + place + ",silos=" + all + ",seed=1");
    }
  }
  return data;
}

struct Outcome {
  cli::JobReport report;
  double accuracy = 0;
  bool finished = false;
  std::uint64_t events = 0;
};

Result<Outcome> run_once(const cli::PreparedJob& job, std::vector<std::string> data,
                         std::uint64_t seed) {
  FederationOptions options;
  options.seed = seed;
  options.data = std::move(data);
  options.make_executor = [] { return std::make_unique<trainer::TorchExecutor>(); };
  Federation federation(std::move(options));
  const JobId id = federation.submit(job.spec, job.evaluation_blob);
  if (!federation.run(id, std::chrono::hours(24 * 7)))
    return unavailable("seed " + std::to_string(seed) +
                       ": the job did not end in a simulated week: " + federation.job(id).reason);
  cli::JobView view;
  view.job = federation.job(id);
  view.spec = job.spec;
  for (auto& round : federation.rounds(id))
    view.rounds.emplace(protocol::round_key(id, round.slot), std::move(round));
  Outcome out;
  out.report = cli::build_report(view, {});
  out.report.chain_id = federation.chain().id().hex();
  out.finished = view.job.phase == protocol::JobPhase::finished;
  out.events = federation.world().events();
  if (view.job.validation)
    out.accuracy = static_cast<double>(view.job.validation->correct) /
                   static_cast<double>(view.job.validation->count);
  const auto model = federation.blob(view.job.model_root);
  if (model) {
    FM_TRY(const auto audited,
           audit::audit({*model, "the simulated model", federation.ledger_export(),
                         "the simulated ledger", federation.chain().id()}));
    cli::add_audit(out.report, audited);
  }
  return out;
}

Result<int> run(const Options& options) {
  FM_TRY(const auto job, cli::prepare_job(options.text("job")));
  FM_TRY(const auto data, data_for(job.spec, options));
  const bool json = options.text("format") == "json";
  bool all_finished = true;
  std::vector<double> accuracies;
  auto results = nlohmann::json::array();
  for (std::int64_t i = 0; i < options.integer("seeds"); ++i) {
    const auto seed = static_cast<std::uint64_t>(options.integer("seed") + i);
    FM_TRY(const auto outcome, run_once(job, data, seed));
    accuracies.push_back(outcome.accuracy);
    all_finished = all_finished && outcome.finished;
    if (json) {
      results.push_back(
          {{"seed", seed}, {"report", nlohmann::json::parse(to_json(outcome.report))}});
      continue;
    }
    std::printf("seed %llu (simulated): %s: %s\n%s", static_cast<unsigned long long>(seed),
                outcome.report.outcome.c_str(), outcome.report.reason.c_str(),
                to_table(outcome.report).c_str());
    std::fflush(stdout);
  }
  double mean = 0;
  double square = 0;
  for (const double accuracy : accuracies)
    mean += accuracy / static_cast<double>(accuracies.size());
  for (const double accuracy : accuracies) square += (accuracy - mean) * (accuracy - mean);
  const double deviation =
      accuracies.size() > 1 ? std::sqrt(square / static_cast<double>(accuracies.size() - 1)) : 0;
  if (json) {
    const nlohmann::json out = {{"simulated", true},
                                {"runs", results},
                                {"accuracy_mean", mean},
                                {"accuracy_deviation", deviation}};
    std::printf("%s\n", out.dump(2).c_str());
  } else if (accuracies.size() > 1) {
    std::printf("accuracy over %zu seeds: mean %.4f, standard deviation %.4f\n", accuracies.size(),
                mean, deviation);
  }
  return all_finished ? kExitDone : kExitFailed;
}

}  // namespace
}  // namespace fedmesh::sim

int main(int argc, char** argv) {
  fedmesh::crypto::initialise();
  auto invocation = fedmesh::parse_options(fedmesh::sim::command(), {argv + 1, argv + argc},
                                           fedmesh::process_environment());
  if (!invocation.ok()) {
    std::fprintf(stderr, "fedmesh-simulator: %s\n", invocation.error().detail.c_str());
    return fedmesh::kExitUsage;
  }
  if (invocation->print) {
    std::printf("%s", invocation->print->c_str());
    return fedmesh::kExitDone;
  }
  const auto result = fedmesh::sim::run(invocation->options);
  if (result.ok()) return *result;
  std::fprintf(stderr, "fedmesh-simulator: %s\n", result.error().to_string().c_str());
  return fedmesh::kExitFailed;
}
