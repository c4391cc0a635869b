#include <charconv>

#include "base/crypto/keys.h"
#include "coordinator/ledger/export.h"
#include "coordinator/ledger/genesis.h"
#include "coordinator/ledger/rocksdb_store/backup.h"

namespace fedmesh::ledger {
namespace {

namespace fs = std::filesystem;

constexpr const char* kMarker = "restored";
constexpr std::uint64_t kManifestBytesMax = 64u << 20;

struct Backup {
  BackupManifest manifest;
  Export ledger;
  std::optional<crypto::SigningKey> key;
};

bool in_committee(const Genesis& genesis, const crypto::SigningKey& key) {
  for (const auto& member : genesis.committee)
    if (member == key.public_key()) return true;
  return false;
}

Result<BackupManifest> read_manifest(Disk& disk, const fs::path& from) {
  const fs::path path = from / kBackupManifest;
  FM_TRY(const Bytes bytes, read_whole(disk, path, kManifestBytesMax));
  auto manifest = decode_backup_manifest(bytes);
  if (!manifest.ok()) return manifest.error().with_context(path.string());
  for (const char* needed : {kBackupGenesis, kBackupLedger})
    if (!manifest->names(needed))
      return corruption(path.string() + " names no " + needed + ": not a whole backup");
  return manifest;
}

Result<Backup> read_backup(Disk& disk, const fs::path& from, const StateMachine& machine) {
  FM_TRY(BackupManifest manifest, read_manifest(disk, from));
  for (const BackupFile& file : manifest.files) {
    FM_TRY(const BackupFile found, measure_file(disk, from / file.name, file.name));
    if (found != file)
      return corruption((from / file.name).string() +
                        " is damaged: it is not the file that was backed up");
  }
  FM_TRY(const Genesis genesis, load_genesis(from / kBackupGenesis));
  const fs::path path = from / kBackupLedger;
  FM_TRY(Export ledger, read_export(path));
  if (const auto good = verify_export(ledger, machine); !good.ok())
    return good.error().with_context(path.string());
  const Digest head = ledger.blocks.empty() ? Digest{manifest.chain.bytes}
                                            : header_hash(ledger.blocks.back().block.header);
  if (ledger.genesis != genesis || chain_id(genesis) != manifest.chain ||
      manifest.height.value != ledger.blocks.size() || manifest.head != head)
    return corruption(path.string() + ", genesis.fm and manifest are not of one backup");
  Backup backup{std::move(manifest), std::move(ledger), std::nullopt};
  if (!backup.manifest.names(kBackupKey)) return backup;
  FM_TRY(backup.key, crypto::load_key(from / kBackupKey));
  if (!in_committee(genesis, *backup.key))
    return corruption((from / kBackupKey).string() +
                      " is not the key of this network's coordinator");
  return backup;
}

// Whatever the home has already must belong to what is restored.
Result<void> check_home(const fs::path& home, const Backup& backup) {
  const fs::path folder = ledger_folder(home);
  for (const fs::path& path : {folder, RocksDbStore::head_file(folder)})
    if (fs::exists(path))
      return invalid_argument(
          path.string() +
          " exists; a ledger is never overwritten. Restore to another home, or, "
          "where an earlier restore did not finish, remove " +
          folder.string() + " and " + RocksDbStore::head_file(folder).string() + " first");
  if (fs::exists(home / kBackupGenesis)) {
    FM_TRY(const Genesis genesis, load_genesis(home / kBackupGenesis));
    if (genesis != backup.ledger.genesis)
      return invalid_argument((home / kBackupGenesis).string() + " is of another network");
  }
  if (fs::exists(home / kBackupKey)) {
    FM_TRY(const crypto::SigningKey key, crypto::load_key(home / kBackupKey));
    if (!in_committee(backup.ledger.genesis, key))
      return invalid_argument((home / kBackupKey).string() +
                              " is not the key of this network's coordinator");
  }
  return {};
}

Result<void> restore_blobs(Disk& disk, const fs::path& from, const fs::path& home,
                           const BackupManifest& manifest) {
  bool any = false;
  for (const BackupFile& file : manifest.files) {
    if (!file.name.starts_with(kBackupBlobs)) continue;
    if (!any) FM_TRY_VOID(disk.create_folders(home / kBackupBlobs));
    any = true;
    const fs::path to = home / file.name;
    const fs::path part = to.string() + kPartSuffix;
    FM_TRY(const BackupFile copied,
           copy_measured(disk, from / file.name, part, file.name, SyncPoint::restored_file));
    if (copied != file) return corruption((from / file.name).string() + " changed meanwhile");
    FM_TRY_VOID(disk.rename(part, to));
  }
  if (any) FM_TRY_VOID(disk.sync_folder(home / kBackupBlobs, SyncPoint::restored_folder));
  return {};
}

// The marker comes first and the genesis last: whenever this ends early, a coordinator either does
// not start here, or asks for a confirmation and finds the ledger unfinished.
Result<void> fill_home(Disk& disk, const fs::path& from, const fs::path& home,
                       const Backup& backup) {
  const std::string height = std::to_string(backup.manifest.height.value) + "\n";
  FM_TRY_VOID(write_durably(disk, home / kMarker, as_bytes(height), SyncPoint::restored_file,
                            SyncPoint::restored_folder));
  {
    FM_TRY(const auto store, RocksDbStore::open(ledger_folder(home), backup.manifest.chain));
    FM_TRY_VOID(store->append_all(backup.ledger.blocks));
  }
  FM_TRY_VOID(restore_blobs(disk, from, home, backup.manifest));
  if (backup.key && !fs::exists(home / kBackupKey))
    FM_TRY_VOID(crypto::store_key(home / kBackupKey, *backup.key));
  if (!fs::exists(home / kBackupGenesis))
    FM_TRY_VOID(write_durably(disk, home / kBackupGenesis,
                              genesis_file_bytes(backup.ledger.genesis), SyncPoint::restored_file,
                              SyncPoint::restored_folder));
  return disk.sync_folder(home, SyncPoint::restored_folder);
}

std::string not_confirmed(const fs::path& home, Height height) {
  const std::string number = std::to_string(height.value);
  return "the ledger in " + home.string() + " was restored from a backup that ends at block " +
         number +
         ". If a newer ledger of this network exists anywhere, or its old coordinator still runs, "
         "blocks made here fork the chain: everybody who saw the newer ones will refuse these, and "
         "nothing joins the two again. Make sure that the old coordinator is stopped for good and "
         "that this is the newest copy; then start once with --confirm-restored " +
         number;
}

// Fedmesh 0.1 before this kept ledgers in memory and left a mark that one had begun: to begin anew
// under the same genesis would fork it.
Result<void> check_not_from_memory(Disk& disk, const fs::path& home) {
  const bool began = disk.open(home / "chain.started", Disk::Mode::read).ok();
  const bool kept = disk.open(RocksDbStore::head_file(ledger_folder(home)), Disk::Mode::read).ok();
  if (!began || kept) return {};
  return unavailable("the ledger of " + home.string() +
                     " lived in the memory of an earlier version and ended with it; going on would "
                     "fork it. Make a new network: fedmesh init --home NEWDIR");
}

}  // namespace

Result<BackupManifest> restore_backup(Disk& disk, const fs::path& from, const fs::path& home,
                                      const StateMachine& machine) {
  FM_TRY(const Backup backup, read_backup(disk, from, machine));
  FM_TRY_VOID(check_home(home, backup));
  FM_TRY_VOID(create_folders_durably(disk, home, SyncPoint::restored_home));
  FM_TRY(const auto lock,
         FolderLock::take(home, "another process uses " + home.string() + "; stop it first"));
  FM_TRY_VOID(check_home(home, backup));
  FM_TRY_VOID(fill_home(disk, from, home, backup));
  return backup.manifest;
}

Result<std::unique_ptr<RocksDbStore>> open_home_ledger(Disk& disk, const fs::path& home,
                                                       const ChainId& chain,
                                                       std::optional<Height> confirmed) {
  const fs::path marker = home / kMarker;
  const auto text = read_whole(disk, marker, 64);
  if (!text.ok()) {
    if (text.error().code != ErrorCode::not_found) return text.error();
    FM_TRY_VOID(check_not_from_memory(disk, home));
    return RocksDbStore::open(ledger_folder(home), chain);
  }
  Height height;
  const std::string_view digits = as_text(*text);
  std::from_chars(digits.data(), digits.data() + digits.size(), height.value);
  if (digits != std::to_string(height.value) + "\n")
    return corruption(marker.string() + " is damaged: restore the backup again");
  if (confirmed != height) return invalid_argument(not_confirmed(home, height));
  const auto seen = RocksDbStore::open_read_only(ledger_folder(home), chain);
  if (!seen.ok() || (*seen)->head() != height)
    return corruption(home.string() + " was not restored completely: " +
                      (seen.ok() ? "block " + std::to_string(height.value) + " is missing"
                                 : seen.error().detail) +
                      ". Remove its ledger and ledger.head, then restore again");
  FM_TRY(auto store, RocksDbStore::open(ledger_folder(home), chain));
  FM_TRY_VOID(disk.remove(marker));
  FM_TRY_VOID(disk.sync_folder(home, SyncPoint::restored_mark));
  return store;
}

}  // namespace fedmesh::ledger
