// The worker's process: sockets, clock, files, signals and the trainer around the step machine.
// The only place where its effects become real.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>

#include "base/ids.h"
#include "base/result.h"
#include "worker/consent.h"

namespace fedmesh::worker {

struct HostConfig {
  std::string join;  // host:port of the coordinator
  std::string data;
  std::filesystem::path home;
  std::filesystem::path network;  // a genesis file; empty: the one in home, else the coordinator's
  std::optional<ChainId> chain;   // the only network to take part in
  std::optional<NodeId> coordinator;  // the only node to talk to
  std::string device = "cpu";
  int threads = 1;
  std::string name;
  std::uint32_t memory_mb = 0;  // offered to jobs; 0: what the machine has
  ConsentPolicy consent;
  std::string trainer;  // path; empty: beside this program
};

// Runs until SIGINT or SIGTERM. Ends with an error only for what is wrong here (a folder, a flag, a
// pinned network that is not the one served), never because a peer cannot be reached.
Result<void> run(const HostConfig& config);

}  // namespace fedmesh::worker
