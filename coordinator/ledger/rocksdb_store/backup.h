// Backups of a coordinator's home, and what it takes to go on from one. Layout: FORMAT.md.
//
// A copy of a ledger is dangerous where the original goes on, or went on after the copy was made:
// two coordinators, or one that forgot, sign two blocks of one height, and the chain is forked. So
// a restored ledger is used only after somebody has said that there is no newer one.
#pragma once

#include <filesystem>
#include <memory>
#include <optional>

#include "base/disk.h"
#include "base/ids.h"
#include "base/result.h"
#include "coordinator/ledger/rocksdb_store/backup_manifest.h"
#include "coordinator/ledger/rocksdb_store/rocksdb_store.h"
#include "coordinator/ledger/state_machine.h"

namespace fedmesh::ledger {

struct BackupContents {
  bool key = false;    // the node's key: whoever has the backup then is the coordinator
  bool blobs = false;  // models and other bulk data
};

std::filesystem::path ledger_folder(const std::filesystem::path& home);

// Copies genesis and ledger of `home` into the new folder `to`, also while a coordinator runs: then
// up to a block that was final when it began, or a later one. Every block is verified and executed.
// Never a secret but, if asked for, the node's key. invalid_argument: `to` exists. An unfinished
// backup is called `to`.part and removed by the next one.
Result<BackupManifest> create_backup(Disk& disk, const std::filesystem::path& home,
                                     const std::filesystem::path& to,
                                     const BackupContents& contents, const StateMachine& machine);

// Verifies all of `from` before anything is written; corruption names the file. invalid_argument:
// the home has a ledger, or another network's genesis or key. Leaves the home so that
// open_home_ledger() asks for a confirmation.
Result<BackupManifest> restore_backup(Disk& disk, const std::filesystem::path& from,
                                      const std::filesystem::path& home,
                                      const StateMachine& machine);

// The ledger of a coordinator's home, made where there is none. A restored one is refused unless
// `confirmed` is the height that it was restored to; it counts as the home's own from then on. The
// caller holds the home's lock.
Result<std::unique_ptr<RocksDbStore>> open_home_ledger(Disk& disk,
                                                       const std::filesystem::path& home,
                                                       const ChainId& chain,
                                                       std::optional<Height> confirmed);

}  // namespace fedmesh::ledger
