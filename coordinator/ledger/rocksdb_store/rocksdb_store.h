// The ledger on disk, in RocksDB. What was appended is there after a crash or a power failure, or
// the store does not open: a ledger that lost blocks which were final must not go on, because its
// next block would fork the chain. Layout and recovery rules: FORMAT.md.
#pragma once

#include <filesystem>
#include <memory>
#include <optional>
#include <set>
#include <span>

#include "base/disk.h"
#include "base/ids.h"
#include "base/result.h"
#include "coordinator/ledger/store.h"

namespace rocksdb {
class FileSystem;
}

namespace fedmesh::ledger {

struct RocksDbOptions {
  std::shared_ptr<rocksdb::FileSystem> file_system;  // none: the machine's own
  std::set<SyncPoint> drop;                          // for tests: these flushes are left out
};

// Not thread-safe: owned by the host. The ledger is the folder and, beside it, FOLDER.head, which
// says how far it goes.
class RocksDbStore final : public Store {
 public:
  static constexpr std::uint64_t kSchemaVersion = 1;

  static std::filesystem::path head_file(const std::filesystem::path& folder);

  // Makes the ledger where there is none. Verifies how far it goes before anything is changed.
  // invalid_argument: of another chain, or made by a newer fedmesh. corruption: damaged, or blocks
  // that were final are missing. unavailable: another process has it open. exhausted: disk full.
  static Result<std::unique_ptr<RocksDbStore>> open(const std::filesystem::path& folder,
                                                    const ChainId& chain,
                                                    const RocksDbOptions& options = {});
  // What another process's store holds, up to the newest block that was durable when this was
  // called; nothing is changed. not_found: there is no ledger. Otherwise as open(), and what it
  // read while the other one was at work may look damaged: whoever needs it tries again.
  static Result<std::unique_ptr<RocksDbStore>> open_read_only(const std::filesystem::path& folder,
                                                              const ChainId& chain,
                                                              const RocksDbOptions& options = {});
  ~RocksDbStore() override;

  // After a failure every further call fails with the same error: what the disk then holds is
  // known only by opening it again.
  Result<void> add(const CertifiedBlock& block) override;
  Result<void> flush() override;
  // Many at once, durable together when it returns.
  Result<void> append_all(std::span<const CertifiedBlock> blocks);
  Result<CertifiedBlock> get(Height height) const override;
  Height head() const override;

 private:
  struct Database;
  explicit RocksDbStore(std::unique_ptr<Database> database);

  std::unique_ptr<Database> database_;
};

}  // namespace fedmesh::ledger
