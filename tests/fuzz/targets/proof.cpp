// Proofs of state entries and of records. Input: a chunk with the genesis, then the proof.
#include "coordinator/ledger/proof.h"

#include "tests/fuzz/target.h"

namespace fedmesh {
namespace {
const bool kDeclared = fuzz::declare_form(0, "a state entry's proof that holds") &&
                       fuzz::declare_form(1, "a record's proof that holds");
}  // namespace
}  // namespace fedmesh

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace fedmesh;
  fuzz::Input input(data, size);
  const auto genesis = ledger::decode_genesis(input.chunk());
  const ByteView bytes = input.rest();
  const auto entry = ledger::decode_state_entry_proof(bytes);
  if (fuzz::check_canonical(entry, bytes) && genesis.ok() &&
      ledger::verify_proof(*genesis, *entry).ok())
    fuzz::accepted(0);
  const auto record = ledger::decode_record_proof(bytes);
  if (fuzz::check_canonical(record, bytes) && genesis.ok() &&
      ledger::verify_proof(*genesis, *record).ok())
    fuzz::accepted(1);
  return 0;
}
