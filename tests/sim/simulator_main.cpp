// fedmesh-simulator: runs a job's federation in one process and one thread under virtual time, with
// real training. `fedmesh simulate` starts it.
#include <cstdio>
#include <fstream>
#include <sstream>

#include "base/options.h"
#include "coordinator/audit/audit.h"
#include "coordinator/cli/job_report.h"
#include "coordinator/cli/jobs.h"
#include "coordinator/protocol/job_file.h"
#include "models/data/safetensors.h"
#include "models/data/standardise.h"
#include "models/nets/runtime.h"
#include "tests/sim/federation.h"
#include "tests/sim/simulation_report.h"
#include "tests/sim/simulation_text.h"
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
      {.name = "test", .kind = OptionKind::list, .help = "held-out data", .commas = false},
      {.name = "set", .kind = OptionKind::list, .help = "SECTION.KEY=VALUE", .commas = false},
      {.name = "baselines", .kind = OptionKind::flag, .help = "train without a federation too"},
      {.name = "format",
       .fallback = "table",
       .help = "how results are printed",
       .choices = {"table", "json"}}};
  return root;
}

// The job file with the command line's settings, checked.
Result<cli::PreparedJob> job_of(const Options& options) {
  const std::string& path = options.text("job");
  std::ifstream in(path, std::ios::binary);
  if (!in) return not_found("cannot read " + path);
  std::ostringstream read;
  read << in.rdbuf();
  std::string text = read.str();
  for (const auto& setting : options.list("set")) {
    FM_TRY(text, with_setting(text, setting));
  }
  FM_TRY(auto file, protocol::parse_job_file(text, path));
  FM_TRY(auto blob, protocol::load_evaluation(file));
  return cli::PreparedJob{std::move(file.spec), std::move(blob)};
}

// Data sources per worker, {seed} left in them. Generated for the built-in tasks; any other job
// names its workers' data.
std::vector<std::string> data_for(const protocol::JobSpec& spec, const Options& options) {
  auto data = options.list("data");
  const auto workers = static_cast<std::size_t>(options.integer("workers"));
  if (data.size() == 1 && data[0].find("{worker}") != std::string::npos) {
    const std::string pattern = data[0];
    data.clear();
    for (std::size_t i = 0; i < workers; ++i) data.push_back(filled(pattern, "{worker}", i));
  }
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

std::vector<std::string> with_seed(std::vector<std::string> uris, std::uint64_t seed) {
  for (auto& uri : uris) uri = filled(uri, "{seed}", seed);
  return uris;
}

// The models that the federation released, by round; the last one is the job's.
std::vector<Model> released(const Federation& federation, const protocol::JobSpec& spec,
                            const protocol::JobState& job) {
  Bytes constants = federation.blob(job.standardisation_root).value_or(Bytes{});
  if (spec.preprocessing.standardise == protocol::Standardise::bounds)
    constants = models::encode_safetensors(models::to_tensors(models::from_bounds(spec.schema)));
  std::vector<Model> out;
  for (const auto& round : federation.rounds(job.id)) {
    if (round.kind != protocol::RoundKind::training || !round.aggregate ||
        round.phase != protocol::RoundPhase::finished)
      continue;
    auto model = federation.blob(round.aggregate->model_root);
    if (model) out.push_back({std::move(*model), constants});
  }
  return out;
}

Result<Outcome> run_once(const cli::PreparedJob& job, const Plan& plan, std::uint64_t seed) {
  const auto data = with_seed(plan.data, seed);
  const auto test = with_seed(plan.test, seed);
  FederationOptions options;
  options.seed = seed;
  options.data = data;
  options.make_executor = [] { return std::make_unique<trainer::TorchExecutor>(); };
  Federation federation(std::move(options));
  const JobId id = federation.submit(job.spec, job.evaluation_blob);
  if (!federation.run(id, std::chrono::hours(24 * 7)))
    return unavailable("the job did not end in a simulated week: " + federation.job(id).reason);
  cli::JobView view;
  view.job = federation.job(id);
  view.spec = job.spec;
  for (auto& round : federation.rounds(id))
    view.rounds.emplace(protocol::round_key(id, round.slot), std::move(round));
  Outcome out;
  out.seed = seed;
  out.report = cli::build_report(view, {});
  out.report.chain_id = federation.chain().id().hex();
  out.finished = view.job.phase == protocol::JobPhase::finished;
  if (view.job.validation)
    out.validation = static_cast<double>(view.job.validation->correct) /
                     static_cast<double>(view.job.validation->count);
  if (const auto model = federation.blob(view.job.model_root)) {
    FM_TRY(const auto audited,
           audit::audit({*model, "the simulated model", federation.ledger_export(),
                         "the simulated ledger", federation.chain().id()}));
    cli::add_audit(out.report, audited);
  }
  trainer::TorchExecutor executor;
  FM_TRY(out.rounds, score(job.spec, released(federation, job.spec, view.job), test, executor));
  if (!plan.baselines) return out;
  FM_TRY(auto baselines, train_baselines(job.spec, data, seed, executor));
  baselines.local.push_back(std::move(baselines.pooled));
  FM_TRY(out.local, score(job.spec, baselines.local, test, executor));
  out.pooled = std::move(out.local.back());
  out.local.pop_back();
  return out;
}

Result<int> run(const Options& options) {
  models::initialise_runtime(1);
  FM_TRY(const auto job, job_of(options));
  Plan plan{data_for(job.spec, options), options.list("test"), options.flag("baselines")};
  if (plan.baselines && plan.test.empty())
    return invalid_argument("baselines are compared on held-out data: give it with --test");
  const bool json = options.text("format") == "json";
  bool all_finished = true;
  std::vector<Outcome> outcomes;
  for (std::int64_t i = 0; i < options.integer("seeds"); ++i) {
    const auto seed = static_cast<std::uint64_t>(options.integer("seed") + i);
    auto outcome = run_once(job, plan, seed);
    if (!outcome.ok()) return outcome.error().with_context("seed " + std::to_string(seed));
    all_finished = all_finished && outcome->finished;
    if (!json) {
      std::printf("%s", text_of(*outcome).c_str());
      std::fflush(stdout);
    }
    outcomes.push_back(std::move(*outcome));
  }
  std::printf("%s", (json ? json_of(plan, outcomes) : summary_of(plan, outcomes)).c_str());
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
