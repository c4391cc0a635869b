// fedmesh demo: a whole federation on this machine as separate processes, from nothing to an
// audited model.
#include <poll.h>

#include <csignal>
#include <cstdio>
#include <cstdlib>

#include "coordinator/audit/audit.h"
#include "coordinator/cli/command_support.h"
#include "coordinator/cli/commands.h"
#include "coordinator/cli/embedded_jobs.h"
#include "coordinator/cli/job_report.h"
#include "coordinator/cli/network_home.h"
#include "coordinator/cli/processes.h"
#include "coordinator/cli/progress.h"

namespace fedmesh::cli {
namespace {

namespace fs = std::filesystem;

volatile std::sig_atomic_t interrupted = 0;
void on_signal(int) { interrupted = 1; }

struct DemoTask {
  const char* name;
  const char* job;   // embedded job file
  const char* data;  // one worker's data; %zu: its number from 0, %zu: how many there are
  const char* worker_name;
  std::int64_t target_micro;  // accuracy that a healthy run reaches
};

// Targets lie four standard deviations below the mean of ten seeds: see README.md, "The demo's
// targets".
constexpr DemoTask kTasks[] = {
    {"clinics", kClinicsJob, "clinics:silo=%zu,silos=%zu,seed=1", "clinic", 847'000},
    {"digits", kDigitsJob, "digits:rows=4000,seed=3,part=%zu,parts=%zu", "writer", 976'000},
};

struct Plan {
  fs::path home;
  fs::path job_file;
  std::vector<std::string> data;  // one worker each
  std::string worker_name;
  std::int64_t target_micro = 0;  // 0: none
  std::vector<std::string> worker_flags;
};

Result<Plan> make_plan(const Options& options) {
  Plan plan;
  if (options.is_set("home")) {
    plan.home = fs::absolute(options.text("home"));
    std::error_code error;
    fs::create_directories(plan.home, error);
    if (error || !fs::is_empty(plan.home))
      return invalid_argument("--home " + plan.home.string() + " is not a new or empty folder");
  } else {
    std::string pattern = (fs::temp_directory_path() / "fedmesh-demo-XXXXXX").string();
    if (::mkdtemp(pattern.data()) == nullptr) return unavailable("cannot make " + pattern);
    plan.home = pattern;
  }
  plan.worker_flags = {"--device", options.text("device")};
  plan.data = options.list("data");
  if (options.is_set("job")) {
    plan.job_file = fs::absolute(options.text("job"));
    plan.worker_name = "worker";
    if (plan.data.empty()) return invalid_argument("--job needs one --data URI per worker");
    return plan;
  }
  const auto* task = &kTasks[options.text("task") == kTasks[1].name ? 1 : 0];
  plan.job_file = plan.home / (std::string(task->name) + ".toml");
  FM_TRY_VOID(write_file(plan.job_file, as_bytes(task->job)));
  plan.worker_name = task->worker_name;
  const auto workers = static_cast<std::size_t>(options.integer("workers"));
  if (plan.data.empty()) {
    plan.target_micro = workers == 5 ? task->target_micro : 0;
    for (std::size_t i = 0; i < workers; ++i) {
      char uri[160];
      std::snprintf(uri, sizeof(uri), task->data, i, workers);
      plan.data.emplace_back(uri);
    }
  }
  return plan;
}

// The processes of one demo and where their files are.
class Federation {
 public:
  explicit Federation(Plan plan) : plan_(std::move(plan)) {}

  Result<void> start() {
    SystemRandom random;
    std::vector<ledger::Participant> participants;
    for (std::size_t i = 0; i < plan_.data.size(); ++i) {
      FM_TRY(const auto key, crypto::load_or_create_key(worker_home(i) / "node.key", random));
      participants.push_back(
          {key.public_key(), ledger::kWorker | ledger::kValidator, worker_name(i)});
    }
    FM_TRY_VOID(create_network(coordinator_home(), "demo", std::move(participants), random,
                               SystemClock().now().ms));
    const fs::path endpoint_file = coordinator_home() / "endpoint";
    FM_TRY_VOID(
        processes_.start("coordinator",
                         {program("fedmesh-coordinator"), "--home", coordinator_home().string(),
                          "--listen", "127.0.0.1:0", "--endpoint-file", endpoint_file.string()},
                         plan_.home / "coordinator.log"));
    FM_TRY_VOID(wait_for_endpoint(endpoint_file));
    for (std::size_t i = 0; i < plan_.data.size(); ++i) {
      std::vector<std::string> arguments = {program("fedmesh-worker"),
                                            "--join",
                                            endpoint_,
                                            "--data",
                                            plan_.data[i],
                                            "--home",
                                            worker_home(i).string(),
                                            "--network",
                                            (coordinator_home() / "genesis.fm").string()};
      arguments.insert(arguments.end(), plan_.worker_flags.begin(), plan_.worker_flags.end());
      FM_TRY_VOID(
          processes_.start(worker_name(i), arguments, plan_.home / (worker_name(i) + ".log")));
    }
    return {};
  }

  // An error once a process is gone or somebody pressed Ctrl-C.
  Result<void> check() {
    if (interrupted != 0) return unavailable("interrupted");
    const std::string dead = processes_.first_dead();
    if (!dead.empty())
      return unavailable("a process of the demo ended (" + dead + "); its output is in " +
                         plan_.home.string() + "/*.log");
    return {};
  }

  Result<std::unique_ptr<Client>> connect() const {
    FM_TRY(auto key, crypto::load_key(coordinator_home() / "owner.key"));
    ClientConfig config;
    config.endpoint = endpoint_;
    config.subscribe = true;
    return Client::connect(config, std::move(key));
  }

  void stop() { processes_.stop(); }
  const Plan& plan() const { return plan_; }
  std::size_t processes() const { return processes_.running().size(); }

 private:
  fs::path coordinator_home() const { return plan_.home / "coordinator"; }
  fs::path worker_home(std::size_t i) const { return plan_.home / worker_name(i); }
  std::string worker_name(std::size_t i) const {
    return plan_.worker_name + "-" + std::to_string(i + 1);
  }
  static std::string program(const char* name) { return (program_directory() / name).string(); }

  Result<void> wait_for_endpoint(const fs::path& file) {
    SystemClock clock;
    const Instant deadline = clock.now() + std::chrono::seconds(20);
    while (!fs::exists(file)) {
      FM_TRY_VOID(check());
      if (clock.now() >= deadline) return unavailable("the coordinator does not start");
      ::poll(nullptr, 0, 10);
    }
    FM_TRY(const Bytes text, read_file(file));
    endpoint_ = std::string(as_text(text));
    while (!endpoint_.empty() && endpoint_.back() == '\n') endpoint_.pop_back();
    return {};
  }

  Plan plan_;
  Processes processes_;
  std::string endpoint_;
};

struct Artefacts {
  fs::path model;
  fs::path ledger_export;
  fs::path json;
  fs::path html;
};

Result<Artefacts> collect(Federation& federation, Client& client, const Followed& followed,
                          JobReport& report, audit::AuditReport& audited) {
  const fs::path& home = federation.plan().home;
  const Artefacts out{home / "model.safetensors", home / "ledger.export", home / "report.json",
                      home / "report.html"};
  FM_TRY(const Bytes model, client.fetch_blob(followed.view.job.model_root));
  FM_TRY_VOID(write_file(out.model, model));
  if (!followed.view.job.standardisation_root.is_zero()) {
    FM_TRY(const Bytes constants, client.fetch_blob(followed.view.job.standardisation_root));
    FM_TRY_VOID(write_file(home / "standardisation.safetensors", constants));
  }
  FM_TRY(const Bytes ledger_export, download_export(client));
  FM_TRY_VOID(write_file(out.ledger_export, ledger_export));
  FM_TRY(audited, audit::audit({model, out.model.filename().string(), ledger_export,
                                out.ledger_export.filename().string(), client.chain()}));
  report.chain_id = client.chain().hex();
  report.model_path = out.model.string();
  add_audit(report, audited);
  FM_TRY_VOID(write_file(out.json, as_bytes(to_json(report))));
  FM_TRY_VOID(write_file(out.html, as_bytes(to_html(report))));
  return out;
}

Result<void> judge(const Plan& plan, const protocol::JobState& job) {
  if (job.phase != protocol::JobPhase::finished)
    return unavailable("the job ended as " + std::string(to_string(job.phase)) + ": " + job.reason);
  if (plan.target_micro == 0) return {};
  if (!job.validation) return unavailable("the final model has no validation score");
  const auto accuracy =
      static_cast<std::int64_t>(job.validation->correct * 1'000'000 / job.validation->count);
  const std::string numbers = "accuracy " + nano_text(accuracy * 1000, 4) + ", target " +
                              nano_text(plan.target_micro * 1000, 4);
  if (accuracy < plan.target_micro) return unavailable("the target is missed: " + numbers);
  std::printf("target reached: %s\n", numbers.c_str());
  return {};
}

Result<int> run_federation(Federation& federation, std::int64_t timeout_s) {
  const Plan& plan = federation.plan();
  FM_TRY_VOID(federation.start());
  std::printf("demo in %s: 1 coordinator and %zu workers, each its own process\n",
              plan.home.c_str(), plan.data.size());
  FM_TRY(const auto client, federation.connect());
  FM_TRY(const auto job, prepare_job(plan.job_file));
  if (plan.data.size() < job.spec.federation.min_updates)
    return invalid_argument("the job needs at least " +
                            std::to_string(job.spec.federation.min_updates) +
                            " workers, and there are " + std::to_string(plan.data.size()));
  FM_TRY(const JobId id, submit_job(*client, job));
  std::printf("job %s submitted: %s\n", id.hex().substr(0, 12).c_str(), job.spec.name.c_str());
  std::fflush(stdout);

  ProgressLine line;
  SystemClock clock;
  FollowHooks hooks = progress_hooks(line, clock);
  hooks.on_idle = [&] { return federation.check(); };
  auto followed = follow_job(*client, id, std::chrono::seconds(timeout_s), hooks);
  line.clear();
  if (!followed.ok()) return followed.error();

  JobReport report = build_report(followed->view, followed->traffic);
  std::printf("\n%s\n%s\n\n", to_table(report).c_str(), report.protection.c_str());
  if (followed->view.job.model_root.is_zero()) return judge(plan, followed->view.job).error();
  audit::AuditReport audited;
  auto artefacts = collect(federation, *client, *followed, report, audited);
  if (!artefacts.ok()) return artefacts.error().with_context("audit and report");
  FM_TRY_VOID(judge(plan, followed->view.job));
  std::size_t proved = 0;
  for (const auto& statement : audited.statements)
    proved += statement.strength == audit::Strength::proved ? 1 : 0;
  std::printf(
      "the offline audit holds: %zu statements proved, %zu attested or claimed, %llu blocks\n"
      "  model   %s\n  report  %s\n          %s\n  ledger  %s\n"
      "repeat the audit: fedmesh audit %s --ledger %s\n",
      proved, audited.statements.size() - proved, static_cast<unsigned long long>(audited.blocks),
      artefacts->model.c_str(), artefacts->html.c_str(), artefacts->json.c_str(),
      artefacts->ledger_export.c_str(), artefacts->model.c_str(), artefacts->ledger_export.c_str());
  return kExitDone;
}

}  // namespace

Result<int> run_demo(const Options& options) {
  struct sigaction action {};
  action.sa_handler = on_signal;
  sigaction(SIGINT, &action, nullptr);
  sigaction(SIGTERM, &action, nullptr);
  sigaction(SIGHUP, &action, nullptr);
  FM_TRY(auto plan, make_plan(options));
  Federation federation(std::move(plan));
  auto result = run_federation(federation, options.integer("timeout"));
  federation.stop();
  std::fflush(stdout);
  if (!result.ok()) {
    std::fprintf(stderr, "fedmesh demo: %s\n", result.error().to_string().c_str());
    return kExitFailed;
  }
  std::printf("all processes are stopped\n");
  return result;
}

}  // namespace fedmesh::cli
