// The file beside the ledger that says how far it goes.
#include "coordinator/ledger/rocksdb_store/head_mark.h"

#include <rocksdb/file_system.h>

#include "tests/fuzz/memory_file.h"
#include "tests/fuzz/target.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace fedmesh;
  static fuzz::MemoryFile file;
  file.write({data, size});
  const auto files = rocksdb::FileSystem::Default();
  const auto position = ledger::HeadMark::read(*files, file.path());
  if (position.ok() && *position) fuzz::accepted();
  return 0;
}
