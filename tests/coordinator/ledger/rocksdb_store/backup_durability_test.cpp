// The power fails after a backup was made, after it was restored, and after that was confirmed.
#include "coordinator/ledger/rocksdb_store/backup.h"
#include "tests/base/needed_flushes.h"
#include "tests/base/power_loss_tree.h"
#include "tests/coordinator/ledger/rocksdb_store/ledger_fixture.h"

namespace fedmesh::ledger {
namespace {

namespace fs = std::filesystem;

// What the ledger's database flushes is shown by durability_test.cpp.
bool is_of_the_database(const fs::path& path) {
  return path.filename() == "ledger" || path.filename() == "ledger.head";
}

class BackupDurabilityTest : public LedgerTest {
 protected:
  BackupDurabilityTest() : made_(blocks(4)) {
    EXPECT_TRUE(store_genesis(home_ / "genesis.fm", network_.founding).ok());
    fs::create_directory(home_ / "blobs");
    set_contents(home_ / "blobs/00ff", std::string(100'000, 'm'));
    fill(made_);
  }
  static PowerLossTree disk_on(const fs::path& root, const Flushes& dropped) {
    PowerLossTree disk(root, is_of_the_database);
    for (const SyncPoint point : dropped) disk.drop(point);
    return disk;
  }
  Result<BackupManifest> backup(Disk& disk) {
    return create_backup(disk, home_, copy(), {.key = false, .blobs = true}, network_.machine);
  }
  Result<BackupManifest> restore(Disk& disk) {
    return restore_backup(disk, copy(), new_home(), network_.machine);
  }
  Result<std::unique_ptr<RocksDbStore>> start(Disk& disk, std::optional<Height> confirmed = {}) {
    return open_home_ledger(disk, new_home(), chain(), confirmed);
  }
  // In folders that are not there either.
  fs::path copy() const { return home_ / "copies/of today/copy"; }
  fs::path new_home() const { return home_ / "homes/of others/new"; }
  bool is_restored_whole() {
    const auto genesis = load_genesis(new_home() / "genesis.fm");
    return genesis.ok() && *genesis == network_.founding &&
           file_contents(new_home() / "blobs/00ff") == file_contents(home_ / "blobs/00ff");
  }

  // What was reported as done is a whole backup after the power failed.
  bool backup_is_durable(const Flushes& dropped, Flushes* used = nullptr) {
    fs::remove_all(home_ / "copies");
    fs::remove_all(home_ / "homes");
    PowerLossTree disk = disk_on(home_, dropped);
    if (!backup(disk).ok()) return false;
    if (used != nullptr) *used = disk.used();
    disk.crash();
    SystemDisk sound;
    return restore(sound).ok() && is_restored_whole();
  }

  // ... is a home that asks before its ledger goes on, and once it was told, never again.
  bool restore_is_durable(const Flushes& dropped, Flushes* used = nullptr) {
    fs::remove_all(home_ / "homes");
    PowerLossTree disk = disk_on(home_, dropped);
    if (!restore(disk).ok()) return false;
    disk.crash();
    if (!is_restored_whole() || start(disk).ok() || !start(disk, Height{4}).ok()) return false;
    if (used != nullptr) *used = disk.used();
    disk.crash();
    const auto store = start(disk);
    return store.ok() && (*store)->head() == Height{4};
  }

  std::vector<CertifiedBlock> made_;
};

TEST_F(BackupDurabilityTest, ABackupSurvivesPowerLossAndEveryFlushIsNeededForIt) {
  Flushes used;
  EXPECT_TRUE(backup_is_durable({}, &used));
  EXPECT_EQ(used, kBackupFlushes);
  for (const SyncPoint point : kBackupFlushes)
    EXPECT_FALSE(backup_is_durable({point})) << to_string(point) << " is not needed";
}

TEST_F(BackupDurabilityTest, ARestoredHomeSurvivesPowerLossAndEveryFlushIsNeededForIt) {
  SystemDisk sound;
  ASSERT_TRUE(backup(sound).ok());
  Flushes used;
  EXPECT_TRUE(restore_is_durable({}, &used));
  EXPECT_EQ(used, kRestoreFlushes);
  for (const SyncPoint point : kRestoreFlushes)
    EXPECT_FALSE(restore_is_durable({point})) << to_string(point) << " is not needed";
}

}  // namespace
}  // namespace fedmesh::ledger
