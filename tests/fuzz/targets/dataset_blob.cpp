// Public validation data as a blob.
#include "models/data/dataset_blob.h"

#include "tests/fuzz/dataset_check.h"
#include "tests/fuzz/target.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace fedmesh;
  const auto rows = models::decode_dataset({data, size}, 1u << 16);
  if (!rows.ok()) return 0;
  fuzz::check_dataset(*rows);
  const auto again = models::decode_dataset(models::encode_dataset(*rows), 1u << 20);
  FM_CHECK(again.ok() && *again == *rows, "a data set comes back changed");
  fuzz::accepted();
  return 0;
}
