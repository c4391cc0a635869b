// The coordinator's process: the only place where its effects become sends, log lines and timers.
#pragma once

#include <filesystem>
#include <optional>
#include <string>

#include "base/ids.h"
#include "base/result.h"

namespace fedmesh::coordinator {

struct HostConfig {
  std::filesystem::path home;  // node.key, genesis.fm, events.jsonl, ledger/, blobs/, items/
  std::string listen;          // host:port; port 0 takes a free one
  std::string bulk_listen;     // the same for blobs; empty: the port after that of `listen`
  std::filesystem::path
      endpoint_file;  // if set: the bound host:port is written there once listening
  std::optional<Height> confirm_restored;  // the first start on a restored ledger names its height
};

// Runs until SIGINT or SIGTERM. An error says what to do.
Result<void> run(const HostConfig& config);

}  // namespace fedmesh::coordinator
