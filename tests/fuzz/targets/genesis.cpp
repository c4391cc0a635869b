// The genesis, as bytes from a peer and as a file.
#include "coordinator/ledger/genesis.h"

#include "tests/fuzz/target.h"

namespace fedmesh {
namespace {
const bool kDeclared =
    fuzz::declare_form(0, "a genesis") && fuzz::declare_form(1, "a genesis file");
}  // namespace
}  // namespace fedmesh

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace fedmesh;
  const ByteView bytes(data, size);
  if (const auto genesis = ledger::decode_genesis(bytes); fuzz::check_canonical(genesis, bytes)) {
    FM_CHECK(ledger::validate(*genesis).ok(), "a decoded genesis is not valid");
    fuzz::accepted(0);
  }
  if (const auto genesis = ledger::parse_genesis_file(bytes); genesis.ok()) {
    FM_CHECK(std::ranges::equal(ledger::genesis_file_bytes(*genesis), bytes),
             "a genesis file has another form");
    fuzz::accepted(1);
  }
  return 0;
}
