// fedmesh evaluate, simulate: what needs tensors is asked of the programs that have them.
#include <unistd.h>

#include <condition_variable>
#include <cstdio>
#include <cstring>
#include <mutex>

#include "coordinator/cli/command_support.h"
#include "coordinator/cli/commands.h"
#include "coordinator/cli/jobs.h"
#include "coordinator/cli/processes.h"
#include "models/data/safetensors.h"
#include "models/data/standardise.h"
#include "worker/trainer/supervisor.h"

namespace fedmesh::cli {
namespace {

constexpr Duration kTaskDeadline = std::chrono::minutes(10);

// Runs one task after the other in a trainer process.
class Trainer {
 public:
  Result<void> start() {
    trainer::SupervisorOptions options;
    options.command = {trainer::program_beside_this("fedmesh-trainer")};
    trainer::SupervisorCallbacks callbacks;
    callbacks.on_response = [this](trainer::Response response) {
      const std::lock_guard lock(mutex_);
      response_ = std::move(response);
      answered_.notify_one();
    };
    FM_TRY(supervisor_, trainer::Supervisor::create(std::move(options), std::move(callbacks)));
    return {};
  }

  Result<trainer::EvaluateResult> evaluate(const trainer::EvaluateTask& task) {
    FM_TRY_VOID(supervisor_->submit({++id_, trainer::TaskKind::evaluate, codec::encode(task)},
                                    kTaskDeadline));
    std::unique_lock lock(mutex_);
    answered_.wait(lock, [&] { return response_.has_value(); });
    const auto response = std::exchange(response_, std::nullopt);
    if (!response->ok) return invalid_argument(response->error);
    return trainer::decode_task<trainer::EvaluateResult>(response->body);
  }

 private:
  std::mutex mutex_;
  std::condition_variable answered_;
  std::optional<trainer::Response> response_;  // guarded by mutex_
  std::uint64_t id_ = 0;
  std::unique_ptr<trainer::Supervisor> supervisor_;  // last: its thread ends before the rest goes
};

Result<Bytes> standardisation_for(const protocol::JobSpec& spec, const Options& options,
                                  const std::filesystem::path& model) {
  switch (spec.preprocessing.standardise) {
    case protocol::Standardise::none:
      return Bytes{};
    case protocol::Standardise::bounds:
      return models::encode_safetensors(models::to_tensors(models::from_bounds(spec.schema)));
    case protocol::Standardise::private_query:
      break;
  }
  const std::filesystem::path path = options.is_set("standardisation")
                                         ? std::filesystem::path(options.text("standardisation"))
                                         : model.parent_path() / "standardisation.safetensors";
  return read_file(path);
}

std::vector<std::string> evaluation_row(const std::string& name,
                                        const trainer::EvaluateResult& result) {
  char loss[40];
  std::snprintf(loss, sizeof(loss), "%.4f", static_cast<double>(result.loss_micro) / 1e6);
  return {name, std::to_string(result.count), loss, percent_text(result.correct, result.count)};
}

}  // namespace

Result<int> run_evaluate(const Options& options) {
  const std::filesystem::path model_path = options.argument("MODEL");
  FM_TRY(const auto job, prepare_job(options.text("job")));
  trainer::EvaluateTask task;
  task.architecture = job.spec.architecture;
  task.device = options.text("device");
  FM_TRY(task.model, read_file(model_path));
  task.data.schema = job.spec.schema;
  task.data.input_scale_nano = job.spec.training.input_scale_nano;
  FM_TRY(task.data.standardisation, standardisation_for(job.spec, options, model_path));
  Trainer trainer;
  FM_TRY_VOID(trainer.start());
  std::vector<std::vector<std::string>> rows = {{"DATA", "ROWS", "LOSS", "ACCURACY"}};
  trainer::EvaluateResult pooled;
  double loss_sum = 0;
  for (const auto& uri : options.list("data")) {
    task.data.uri = uri;
    auto result = trainer.evaluate(task);
    if (!result.ok()) return result.error().with_context(uri);
    rows.push_back(evaluation_row(uri, *result));
    pooled.count += result->count;
    pooled.correct += result->correct;
    loss_sum += static_cast<double>(result->loss_micro) * static_cast<double>(result->count);
  }
  if (rows.size() > 2 && pooled.count > 0) {
    pooled.loss_micro = static_cast<std::int64_t>(loss_sum / static_cast<double>(pooled.count));
    rows.push_back(evaluation_row("pooled", pooled));
  }
  std::printf("%s", table(rows).c_str());
  return kExitDone;
}

Result<int> run_simulate(const Options& options) {
  const std::string program = (program_directory() / "fedmesh-simulator").string();
  std::vector<std::string> arguments = {program,
                                        "--job",
                                        options.argument("FILE"),
                                        "--workers",
                                        std::to_string(options.integer("workers")),
                                        "--seed",
                                        std::to_string(options.integer("seed")),
                                        "--seeds",
                                        std::to_string(options.integer("seeds")),
                                        "--format",
                                        options.text("format")};
  for (const char* name : {"data", "test", "set"})
    for (const auto& value : options.list(name))
      arguments.insert(arguments.end(), {std::string("--") + name, value});
  if (options.flag("baselines")) arguments.push_back("--baselines");
  std::vector<char*> raw;
  for (auto& argument : arguments) raw.push_back(argument.data());
  raw.push_back(nullptr);
  std::fflush(stdout);
  ::execv(program.c_str(), raw.data());
  return not_found("cannot start " + program + ": " + std::strerror(errno) +
                   "; it is built where LibTorch is (target fedmesh-simulator)");
}

}  // namespace fedmesh::cli
