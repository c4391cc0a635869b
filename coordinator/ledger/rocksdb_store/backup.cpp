#include "coordinator/ledger/rocksdb_store/backup.h"

#include <algorithm>
#include <fstream>

#include "base/crypto/keys.h"
#include "coordinator/ledger/chain.h"
#include "coordinator/ledger/export.h"
#include "coordinator/ledger/genesis.h"

namespace fedmesh::ledger {
namespace {

namespace fs = std::filesystem;

// A writer that is at work may take a file away between two looks at the folder; the next try sees
// its successor.
constexpr int kTries = 10;

struct Opened {
  std::unique_ptr<RocksDbStore> store;
  std::unique_ptr<Chain> chain;  // replayed: every block verified and executed
};

Result<Opened> open_once(const fs::path& home, const Genesis& genesis,
                         const StateMachine& machine) {
  Opened opened;
  FM_TRY(opened.store, RocksDbStore::open_read_only(ledger_folder(home), chain_id(genesis)));
  FM_TRY(opened.chain, Chain::open(genesis, machine, *opened.store));
  return opened;
}

Result<Opened> open_for_backup(const fs::path& home, const Genesis& genesis,
                               const StateMachine& machine) {
  for (int attempt = 1;; ++attempt) {
    auto opened = open_once(home, genesis, machine);
    if (opened.ok() || attempt == kTries || opened.error().code == ErrorCode::not_found)
      return opened;
  }
}

// An ofstream has no flush to the disk: that is asked for afterwards.
Result<BackupFile> write_ledger(Disk& disk, const fs::path& path, const Chain& chain) {
  std::ofstream out(path, std::ios::binary | std::ios::trunc);
  if (!out) return unavailable("cannot write " + path.string());
  if (auto written = write_export(out, chain); !written.ok())
    return written.error().with_context(path.string());
  out.close();
  FM_TRY(const auto file, disk.open(path, Disk::Mode::update));
  FM_TRY_VOID(file->sync(SyncPoint::backup_file));
  return measure_file(disk, path, kBackupLedger);
}

Result<void> copy_blobs(Disk& disk, const fs::path& from, const fs::path& to,
                        BackupManifest& manifest) {
  if (!fs::is_directory(from)) return {};
  FM_TRY_VOID(disk.create_folders(to));
  FM_TRY(const auto names, disk.list(from));
  for (const std::string& name : names) {
    if (name.ends_with(kPartSuffix) || name.starts_with('.')) continue;
    auto copied = copy_measured(disk, from / name, to / name,
                                std::string(kBackupBlobs) + "/" + name, SyncPoint::backup_file);
    // The coordinator drops what nobody needs any more, also meanwhile, and may write another blob
    // over its file. The name goes first.
    if (copied.ok())
      if (const auto there = disk.open(from / name, Disk::Mode::read); !there.ok())
        copied = there.error();
    if (!copied.ok() && copied.error().code == ErrorCode::not_found) {
      FM_TRY_VOID(disk.remove(to / name));
      continue;
    }
    if (!copied.ok()) return copied.error();
    manifest.files.push_back(std::move(*copied));
  }
  return disk.sync_folder(to, SyncPoint::backup_folder);
}

Result<BackupManifest> fill(Disk& disk, const fs::path& home, const fs::path& part,
                            const BackupContents& contents, const StateMachine& machine) {
  FM_TRY(const Genesis genesis, load_genesis(home / kBackupGenesis));
  FM_TRY(const Opened opened, open_for_backup(home, genesis, machine));
  const Chain& chain = *opened.chain;
  FM_TRY_VOID(create_folders_durably(disk, part, SyncPoint::backup_folder));
  BackupManifest manifest{chain.id(), chain.height(), chain.head_hash(), {}};
  FM_TRY_VOID(write_durably(disk, part / kBackupGenesis, genesis_file_bytes(genesis),
                            SyncPoint::backup_file, SyncPoint::backup_folder));
  FM_TRY(BackupFile founding, measure_file(disk, part / kBackupGenesis, kBackupGenesis));
  manifest.files.push_back(std::move(founding));
  FM_TRY(BackupFile blocks, write_ledger(disk, part / kBackupLedger, chain));
  manifest.files.push_back(std::move(blocks));
  if (contents.key) {
    FM_TRY_VOID(crypto::load_key(home / kBackupKey));  // a good one, that only its owner can read
    FM_TRY(BackupFile key, copy_measured(disk, home / kBackupKey, part / kBackupKey, kBackupKey,
                                         SyncPoint::backup_file));
    manifest.files.push_back(std::move(key));
  }
  if (contents.blobs)
    FM_TRY_VOID(copy_blobs(disk, home / kBackupBlobs, part / kBackupBlobs, manifest));
  FM_TRY_VOID(write_durably(disk, part / kBackupManifest, encode_backup_manifest(manifest),
                            SyncPoint::backup_file, SyncPoint::backup_folder));
  return manifest;
}

}  // namespace

fs::path ledger_folder(const fs::path& home) { return home / "ledger"; }

Result<BackupManifest> create_backup(Disk& disk, const fs::path& home, const fs::path& to,
                                     const BackupContents& contents, const StateMachine& machine) {
  fs::path target = fs::absolute(to).lexically_normal();
  if (!target.has_filename()) target = target.parent_path();
  const fs::path part = target.string() + kPartSuffix;
  std::error_code ignored;
  if (fs::exists(fs::symlink_status(target, ignored)))
    return invalid_argument(target.string() + " exists; a backup is never overwritten");
  fs::remove_all(part, ignored);
  auto made = fill(disk, home, part, contents, machine);
  auto named = made.ok() ? disk.rename(part, target) : Result<void>(made.error());
  if (named.ok()) named = disk.sync_folder(target.parent_path(), SyncPoint::backup_folder);
  if (!named.ok()) {
    fs::remove_all(part, ignored);
    return named.error();
  }
  return made;
}

}  // namespace fedmesh::ledger
