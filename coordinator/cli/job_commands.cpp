// fedmesh job submit, list, show, watch, stop, fetch, reference
#include <cstdio>
#include <nlohmann/json.hpp>

#include "coordinator/audit/audit.h"
#include "coordinator/cli/command_support.h"
#include "coordinator/cli/commands.h"
#include "coordinator/cli/job_report.h"
#include "coordinator/cli/jobs.h"
#include "coordinator/cli/progress.h"
#include "coordinator/protocol/job_file.h"

namespace fedmesh::cli {
namespace {

int exit_code_of(const protocol::JobState& job) {
  if (!protocol::is_terminal(job.phase)) return kExitWaiting;
  return job.phase == protocol::JobPhase::finished ? kExitDone : kExitFailed;
}

Result<int> watch(Client& client, const JobId& id, std::int64_t timeout_s) {
  ProgressLine line;
  SystemClock clock;
  const FollowHooks hooks = progress_hooks(line, clock);
  std::optional<Duration> timeout;
  if (timeout_s > 0) timeout = std::chrono::seconds(timeout_s);
  auto followed = follow_job(client, id, timeout, hooks);
  line.clear();
  if (!followed.ok()) return followed.error();
  const JobReport report = build_report(followed->view, followed->traffic);
  std::printf("%s%s: %s\n%s\n", to_table(report).c_str(), report.outcome.c_str(),
              report.reason.c_str(), report.protection.c_str());
  return exit_code_of(followed->view.job);
}

}  // namespace

Result<int> run_job_submit(const Options& options) {
  FM_TRY(const auto job, prepare_job(options.argument("FILE")));
  FM_TRY(const auto client, connect(options, options.flag("watch")));
  FM_TRY(const JobId id, submit_job(*client, job));
  std::printf("job %s submitted: %s\n%s\n", id.hex().c_str(), job.spec.name.c_str(),
              protection_sentence(job.spec, job.spec.aggregation.aggregators).c_str());
  if (!options.flag("watch")) return kExitDone;
  return watch(*client, id, options.integer("timeout"));
}

Result<int> run_job_list(const Options& options) {
  FM_TRY(const auto client, connect(options));
  FM_TRY(const auto jobs, list_jobs(*client));
  std::vector<std::vector<std::string>> rows = {
      {"JOB", "NAME", "PHASE", "ROUNDS", "ENROLLED", "DECLINED", "SUBMITTED", "REASON"}};
  auto json = nlohmann::json::array();
  for (const auto& job : jobs) {
    rows.push_back({job.id.hex().substr(0, 12), job.name, to_string(job.phase),
                    std::to_string(job.rounds_done), std::to_string(job.enrolled.size()),
                    std::to_string(job.declined.size()), time_text(job.submitted_ms), job.reason});
    json.push_back({{"job", job.id.hex()},
                    {"name", job.name},
                    {"phase", to_string(job.phase)},
                    {"reason", job.reason},
                    {"rounds_done", job.rounds_done},
                    {"enrolled", job.enrolled.size()},
                    {"declined", job.declined.size()},
                    {"submitted_ms", job.submitted_ms}});
  }
  std::printf("%s", wants_json(options) ? (json.dump(2) + "\n").c_str() : table(rows).c_str());
  return kExitDone;
}

Result<int> run_job_show(const Options& options) {
  FM_TRY(const auto client, connect(options));
  FM_TRY(const JobId id, find_job(*client, options.argument("JOB")));
  FM_TRY(const auto view, load_job(*client, id));
  JobReport report = build_report(view, {});
  report.chain_id = client->chain().hex();
  if (wants_json(options)) {
    std::printf("%s", to_json(report).c_str());
    return kExitDone;
  }
  std::printf(
      "job %s: %s\n%s\n", id.hex().c_str(), view.job.name.c_str(),
      describe_progress(view.job, view.spec, view.open_round(), SystemClock().now()).c_str());
  for (const NodeId& node : view.job.enrolled)
    std::printf("  enrolled  %s  %s\n", node.short_hex().c_str(), view.name_of(node).c_str());
  for (const NodeId& node : view.job.declined)
    std::printf("  declined  %s  %s\n", node.short_hex().c_str(), view.name_of(node).c_str());
  std::printf("%s", to_table(report).c_str());
  return kExitDone;
}

Result<int> run_job_watch(const Options& options) {
  FM_TRY(const auto client, connect(options, true));
  FM_TRY(const JobId id, find_job(*client, options.argument("JOB")));
  return watch(*client, id, options.integer("timeout"));
}

Result<int> run_job_stop(const Options& options) {
  FM_TRY(const auto client, connect(options));
  FM_TRY(const JobId id, find_job(*client, options.argument("JOB")));
  FM_TRY_VOID(client->submit(ledger::RecordKind::stop, id,
                             codec::encode(protocol::Stop{options.text("reason")})));
  std::printf("job %s is stopped\n", id.hex().c_str());
  return kExitDone;
}

Result<int> run_job_fetch(const Options& options) {
  FM_TRY(const auto client, connect(options));
  FM_TRY(const JobId id, find_job(*client, options.argument("JOB")));
  FM_TRY(const auto view, load_job(*client, id));
  if (view.job.model_root.is_zero())
    return unavailable("job " + id.short_hex() + " has released no model yet: " + view.job.reason);
  const std::filesystem::path out = options.text("out");
  FM_TRY(const Bytes model, client->fetch_blob(view.job.model_root));
  FM_TRY_VOID(write_file(out / "model.safetensors", model));
  if (!view.job.standardisation_root.is_zero()) {
    FM_TRY(const Bytes constants, client->fetch_blob(view.job.standardisation_root));
    FM_TRY_VOID(write_file(out / "standardisation.safetensors", constants));
  }
  FM_TRY(const Bytes ledger_export, download_export(*client));
  FM_TRY_VOID(write_file(out / "ledger.export", ledger_export));
  FM_TRY(const auto audited, audit::audit({model, "model.safetensors", ledger_export,
                                           "ledger.export", client->chain()}));
  JobReport report = build_report(view, {});
  report.chain_id = client->chain().hex();
  report.model_path = (out / "model.safetensors").string();
  add_audit(report, audited);
  FM_TRY_VOID(write_file(out / "report.json", as_bytes(to_json(report))));
  FM_TRY_VOID(write_file(out / "report.html", as_bytes(to_html(report))));
  std::printf(
      "wrote %s/: model.safetensors (round %llu), ledger.export, report.json, report.html%s\n"
      "the audit holds; repeat it with: fedmesh audit %s --ledger %s\n",
      out.c_str(), static_cast<unsigned long long>(audited.slot.round.value),
      view.job.standardisation_root.is_zero() ? "" : ", standardisation.safetensors",
      (out / "model.safetensors").c_str(), (out / "ledger.export").c_str());
  return kExitDone;
}

Result<int> run_job_reference(const Options&) {
  std::printf("%s", protocol::job_file_reference().c_str());
  return kExitDone;
}

Result<int> run_audit(const Options& options) {
  audit::AuditInput input;
  input.model_name = options.argument("MODEL");
  input.export_name = options.text("ledger");
  FM_TRY(input.model, read_file(input.model_name));
  FM_TRY(input.ledger_export, read_file(input.export_name));
  if (options.is_set("chain")) {
    auto chain = ChainId::from_hex(options.text("chain"));
    if (!chain.ok()) return chain.error().with_context("--chain");
    input.pinned_chain = *chain;
  }
  if (options.is_set("genesis")) {
    FM_TRY(const auto genesis, ledger::load_genesis(options.text("genesis")));
    input.pinned_chain = ledger::chain_id(genesis);
  }
  FM_TRY(const auto report, audit::audit(input));
  std::printf(
      "%s", wants_json(options) ? audit::to_json(report).c_str() : audit::to_text(report).c_str());
  return kExitDone;
}

}  // namespace fedmesh::cli
