// fedmesh ledger backup, restore
#include <cstdio>

#include "coordinator/cli/commands.h"
#include "coordinator/ledger/rocksdb_store/backup.h"
#include "coordinator/rounds/rounds_machine.h"

namespace fedmesh::cli {
namespace {

void print(const char* what, const std::string& where, const ledger::BackupManifest& manifest) {
  std::printf(
      "%s %s\n  chain  %s\n  height %llu\n  head   %s\n  size   %llu bytes, %zu blobs, %s\n", what,
      where.c_str(), manifest.chain.hex().c_str(),
      static_cast<unsigned long long>(manifest.height.value), manifest.head.hex().c_str(),
      static_cast<unsigned long long>(manifest.bytes()), manifest.blobs(),
      manifest.names(ledger::kBackupKey) ? "with the node's key" : "without keys");
}

}  // namespace

Result<int> run_ledger_backup(const Options& options) {
  SystemDisk disk;
  const rounds::RoundsMachine machine;
  const std::string& to = options.argument("DIR");
  FM_TRY(const auto manifest,
         ledger::create_backup(disk, options.text("home"), to,
                               {options.flag("with-key"), options.flag("blobs")}, machine));
  print("backup", to, manifest);
  if (manifest.names(ledger::kBackupKey))
    std::printf(
        "  whoever reads %s/node.key can be this coordinator: keep it as safe as the "
        "original\n",
        to.c_str());
  return kExitDone;
}

Result<int> run_ledger_restore(const Options& options) {
  SystemDisk disk;
  const rounds::RoundsMachine machine;
  const std::string& home = options.text("home");
  FM_TRY(const auto manifest, ledger::restore_backup(disk, options.argument("DIR"), home, machine));
  print("restored to", home, manifest);
  if (!std::filesystem::exists(std::filesystem::path(home) / ledger::kBackupKey))
    std::printf("  the backup has no key: put the coordinator's node.key into %s\n", home.c_str());
  const auto height = static_cast<unsigned long long>(manifest.height.value);
  std::printf(
      "  before it is used: the old coordinator must be stopped for good, and no newer ledger of "
      "this network exist.\n  then: fedmesh-coordinator --home %s --confirm-restored %llu\n",
      home.c_str(), height);
  return kExitDone;
}

}  // namespace fedmesh::cli
