// The list of files in a backup of the ledger.
#include "coordinator/ledger/rocksdb_store/backup_manifest.h"

#include "tests/fuzz/target.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace fedmesh;
  const ByteView bytes(data, size);
  const auto manifest = ledger::decode_backup_manifest(bytes);
  if (!manifest.ok()) return 0;
  FM_CHECK(std::ranges::equal(ledger::encode_backup_manifest(*manifest), bytes),
           "a decoded manifest encodes to other bytes");
  fuzz::accepted();
  return 0;
}
