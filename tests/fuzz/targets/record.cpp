// The signed envelope of a record.
#include "coordinator/ledger/record.h"

#include "tests/fuzz/target.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace fedmesh;
  const ByteView bytes(data, size);
  const auto record = ledger::decode_record(bytes);
  if (!fuzz::check_canonical(record, bytes)) return 0;
  fuzz::accepted();
  (void)ledger::verify_record(*record, record->chain).ok();
  return 0;
}
