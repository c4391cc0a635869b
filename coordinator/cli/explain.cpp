// fedmesh explain
#include <algorithm>
#include <cstdio>

#include "coordinator/cli/command_support.h"
#include "coordinator/cli/commands.h"
#include "coordinator/cli/report_text.h"
#include "coordinator/cli/round_timeline.h"
#include "coordinator/ledger/export.h"
#include "coordinator/ledger/memory_store.h"
#include "coordinator/protocol/state.h"
#include "coordinator/publisher.h"
#include "coordinator/round_log.h"
#include "coordinator/rounds/rounds_machine.h"
#include "coordinator/rounds/state_access.h"

namespace fedmesh::cli {
namespace {

struct Log {
  std::filesystem::path path;
  bool optional = false;  // the default one need not be there
};

struct Sources {
  std::vector<Log> logs;
  std::optional<ledger::Export> ledger;
};

// Ids and names of jobs, as far as the sources tell.
using Jobs = std::map<std::string, std::string>;

Result<Sources> sources_of(const Options& options) {
  Sources out;
  if (options.is_set("ledger")) {
    auto read = ledger::read_export(std::filesystem::path(options.text("ledger")));
    if (!read.ok()) return read.error().with_context(options.text("ledger"));
    out.ledger = std::move(read).value();
  } else if (options.is_set("coordinator")) {
    FM_TRY(const auto client, connect(options));
    FM_TRY(const Bytes bytes, download_export(*client));
    FM_TRY(out.ledger, ledger::read_export(bytes));
  }
  for (const auto& path : options.list("log")) out.logs.push_back({path, false});
  const std::filesystem::path home = options.text("home");
  out.logs.insert(out.logs.begin(),
                  {home / "events.jsonl", out.ledger.has_value() || !out.logs.empty()});
  return out;
}

// Calls for every event of every log.
Result<LogScan> scan_logs(
    const std::vector<Log>& logs,
    const std::function<void(const LoggedEvent&, const std::string&)>& visit) {
  LogScan total;
  for (const Log& log : logs) {
    const std::string source = log.path.string();
    const auto scan =
        scan_rotated_log(log.path, [&](const LoggedEvent& event) { visit(event, source); });
    if (!scan.ok()) {
      if (log.optional && scan.error().code == ErrorCode::not_found) continue;
      if (scan.error().code == ErrorCode::not_found)
        return not_found(scan.error().detail +
                         "; name the coordinator's folder with --home, a log with --log, or ask "
                         "with --coordinator HOST:PORT or --ledger EXPORT");
      return scan.error();
    }
    total.lines += scan->lines;
    total.skipped += scan->skipped;
  }
  return total;
}

// Before anything is verified: what a wrong name leads to is verified later, or not found.
Result<Jobs> known_jobs(const Sources& sources) {
  Jobs jobs;
  if (sources.ledger)
    for (const auto& block : sources.ledger->blocks)
      for (const auto& record : block.block.records) {
        if (record.kind != ledger::RecordKind::job) continue;
        const auto job = protocol::decode_payload<protocol::Job>(record.payload);
        if (job.ok()) jobs[record.job.hex()] = job->spec.name;
      }
  FM_TRY_VOID(scan_logs(sources.logs, [&](const LoggedEvent& event, const std::string&) {
    const std::string id = event.text("job");
    if (id.empty()) return;
    std::string& name = jobs[id];
    if (name.empty()) name = event.text("job_name");
  }));
  return jobs;
}

Result<std::string> find_job(const Jobs& jobs, const std::string& text) {
  std::vector<std::string> found;
  for (const auto& [id, name] : jobs)
    if (name == text || (text.size() >= 4 && id.starts_with(text))) found.push_back(id);
  if (found.size() == 1) return found.front();
  if (found.empty())
    return not_found("no job '" + text + "' is in what was read (" + std::to_string(jobs.size()) +
                     " jobs are); give --ledger EXPORT or --coordinator HOST:PORT, or another "
                     "--home or --log");
  std::string all;
  for (const auto& id : found) all += " " + for_terminal(id.substr(0, 16));
  return invalid_argument("'" + text + "' means several jobs:" + all);
}

// Executes every block again: what the job's rounds did and when is then beyond doubt.
Result<void> replay(const ledger::Export& from, TimelineBuilder& builder) {
  const rounds::RoundsMachine machine;
  ledger::MemoryStore store;
  FM_TRY(const auto chain, ledger::Chain::open(from.genesis, machine, store));
  coordinator::Publisher publisher;
  coordinator::RoundLog log;
  for (const auto& block : from.blocks) {
    FM_TRY_VOID(chain->commit(block));
    const auto changed = publisher.changed(chain->state());
    for (const auto& event : log.step(chain->state(), changed, chain->height(), chain->timestamp()))
      builder.add_proven(logged(event));
  }
  for (const auto& [key, value] : chain->state().prefix(protocol::kNodePrefix)) {
    FM_TRY(const auto node, protocol::decode_state<protocol::NodeState>(value));
    builder.name(crypto::node_id_of(node.key.view()).hex(), node.name);
  }
  return {};
}

Result<std::int64_t> parse_round(const std::string& text) {
  const bool digits =
      !text.empty() && text.size() <= 10 &&
      std::all_of(text.begin(), text.end(), [](char c) { return c >= '0' && c <= '9'; });
  if (!digits) return invalid_argument("ROUND is a whole number from 0");
  return std::stoll(text);
}

}  // namespace

Result<int> run_explain(const Options& options) {
  FM_TRY(const std::int64_t round, parse_round(options.argument("ROUND")));
  FM_TRY(const auto sources, sources_of(options));
  FM_TRY(const auto jobs, known_jobs(sources));
  FM_TRY(const std::string job, find_job(jobs, options.argument("JOB")));
  std::optional<std::int64_t> attempt;
  if (options.is_set("attempt")) attempt = options.integer("attempt");
  TimelineBuilder builder(job, round, attempt);
  if (sources.ledger) FM_TRY_VOID(replay(*sources.ledger, builder));
  FM_TRY(const LogScan scan,
         scan_logs(sources.logs, [&](const LoggedEvent& event, const std::string& source) {
           builder.add_logged(event, source);
         }));
  builder.skipped(scan.skipped);
  FM_TRY(auto timeline, builder.build(SystemClock().now()));
  timeline.job_name = jobs.at(job);
  std::printf("%s", wants_json(options) ? to_json(timeline).c_str() : to_text(timeline).c_str());
  return kExitDone;
}

}  // namespace fedmesh::cli
