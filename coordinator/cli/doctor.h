// Looks at a machine before a node runs on it, or when one does not: what is fine, what is odd,
// what will not work, and what to do about it.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "coordinator/ledger/genesis.h"
#include "worker/trainer/task.h"

namespace fedmesh::cli {

enum class Health { ok, warn, fail };
const char* to_string(Health health);

struct Finding {
  std::string check;  // "disk", "clock", ...
  Health health = Health::ok;
  std::string detail;  // what was found
  std::string advice;  // what to do; empty where ok
};
using Findings = std::vector<Finding>;

// The wall clock: its year, and whether it keeps step with the monotonic one for a moment.
Findings check_clock();
// Against the newest block of the network: blocks are never from the future.
Finding check_clock_against(std::int64_t head_ms, std::int64_t now_ms);
// Room, permission, and how long a small flush takes. Where `home` is not there yet, the folder in
// which it would be made is looked at.
Findings check_disk(const std::filesystem::path& home);
// Every *.key in `home`: nobody else may read it, and it must be whole.
Findings check_keys(const std::filesystem::path& home);
// Whether others could replace what lies in `home`; whether its genesis is whole.
Findings check_home(const std::filesystem::path& home);
Findings check_limits();  // open files, memory, cores
Findings check_versions();
// Starts the trainer at `program` and hears what it is made of.
Findings check_trainer(const std::string& program);
// Judges what it said; pure. `driver`: the machine has an NVIDIA driver.
Findings judge_trainer(const trainer::Ready& ready, bool driver);
// Whether a coordinator could listen at HOST:PORT.
Finding check_listen(const std::string& endpoint);
// TCP, then an encrypted session, then the network's genesis; compared with `expected` if there is
// one, and the clock with its newest block.
Findings check_coordinator(const std::string& endpoint,
                           const std::optional<ledger::Genesis>& expected);

std::string findings_table(const Findings& findings);
std::string findings_json(const Findings& findings);

}  // namespace fedmesh::cli
