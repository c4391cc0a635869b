// fedmesh doctor
#include <algorithm>
#include <cstdio>
#include <nlohmann/json.hpp>

#include "coordinator/cli/command_support.h"
#include "coordinator/cli/commands.h"
#include "coordinator/cli/doctor.h"
#include "coordinator/cli/report_text.h"
#include "worker/trainer/supervisor.h"

namespace fedmesh::cli {
namespace {

namespace fs = std::filesystem;

void append(Findings& to, Findings more) {
  for (auto& finding : more) to.push_back(std::move(finding));
}

// The folder that was named, and in the user's default one the homes in it.
std::vector<fs::path> homes_of(const fs::path& home) {
  std::vector<fs::path> out = {home};
  std::error_code ignored;
  for (const char* name : {"coordinator", "worker"})
    if (fs::is_directory(home / name, ignored)) out.push_back(home / name);
  return out;
}

Health worst(const Findings& findings) {
  Health out = Health::ok;
  for (const auto& finding : findings) out = std::max(out, finding.health);
  return out;
}

}  // namespace

std::string findings_table(const Findings& findings) {
  std::vector<std::vector<std::string>> rows;
  for (const auto& finding : findings) {
    rows.push_back(
        {to_string(finding.health), for_terminal(finding.check), for_terminal(finding.detail)});
    if (!finding.advice.empty()) rows.push_back({"", "", "-> " + for_terminal(finding.advice)});
  }
  return table(rows);
}

std::string findings_json(const Findings& findings) {
  using Json = nlohmann::ordered_json;
  Json out = {
      {"doctor_version", 1}, {"health", to_string(worst(findings))}, {"findings", Json::array()}};
  for (const auto& finding : findings)
    out["findings"].push_back({{"check", finding.check},
                               {"health", to_string(finding.health)},
                               {"detail", finding.detail},
                               {"advice", finding.advice}});
  return out.dump(2, ' ', false, Json::error_handler_t::replace) + "\n";
}

Result<int> run_doctor(const Options& options) {
  const fs::path home = options.text("home");
  Findings findings = check_versions();
  append(findings, check_clock());
  append(findings, check_limits());
  append(findings, check_disk(home));
  std::optional<ledger::Genesis> genesis;
  for (const auto& folder : homes_of(home)) {
    append(findings, check_home(folder));
    append(findings, check_keys(folder));
  }
  if (auto known = ledger::load_genesis(home / "genesis.fm"); known.ok())
    genesis = std::move(known).value();
  append(findings, check_trainer(trainer::program_beside_this("fedmesh-trainer")));
  if (options.is_set("listen")) findings.push_back(check_listen(options.text("listen")));
  if (options.is_set("coordinator"))
    append(findings, check_coordinator(options.text("coordinator"), genesis));
  const Health health = worst(findings);
  if (wants_json(options)) {
    std::printf("%s", findings_json(findings).c_str());
  } else {
    const auto count = [&](Health of) {
      return std::count_if(findings.begin(), findings.end(),
                           [&](const auto& finding) { return finding.health == of; });
    };
    std::printf("%s%td checks: %td ok, %td warnings, %td failures\n",
                findings_table(findings).c_str(), static_cast<std::ptrdiff_t>(findings.size()),
                count(Health::ok), count(Health::warn), count(Health::fail));
  }
  return health == Health::fail ? kExitFailed : kExitDone;
}

}  // namespace fedmesh::cli
