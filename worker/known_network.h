// Which network this worker takes part in, as far as its owner or an earlier run has said.
#pragma once

#include <filesystem>
#include <optional>
#include <string>

#include "base/ids.h"
#include "base/result.h"
#include "coordinator/ledger/genesis.h"

namespace fedmesh::worker {

struct NetworkChoice {
  std::filesystem::path home;    // exists
  std::filesystem::path file;    // --network; empty: not given
  std::optional<ChainId> chain;  // --chain
};

// invalid_argument: --chain pins another one. `where` says whose genesis it is.
Result<void> check_pin(const NetworkChoice& choice, const ledger::Genesis& genesis,
                       const std::string& where);

// The network of the file that was named, which is that of `home` from now on; else the one of an
// earlier run; else nothing. invalid_argument: `home` belongs to another network, or check_pin().
Result<std::optional<ledger::Genesis>> known_network(const NetworkChoice& choice);

// Makes it the network of `home`, which has none yet.
Result<void> remember_network(const NetworkChoice& choice, const ledger::Genesis& genesis);

}  // namespace fedmesh::worker
