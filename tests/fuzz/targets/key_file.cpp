// A key file, which holds 32 bytes as hex under a header line.
#include "base/crypto/keys.h"
#include "tests/fuzz/memory_file.h"
#include "tests/fuzz/target.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace fedmesh;
  static fuzz::MemoryFile file;
  file.write({data, size});
  if (crypto::load_key(file.path()).ok()) fuzz::accepted();
  return 0;
}
