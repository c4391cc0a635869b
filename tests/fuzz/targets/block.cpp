// Blocks, alone and with their certificate..
#include "coordinator/ledger/block.h"

#include "tests/fuzz/target.h"

namespace fedmesh {
namespace {
const bool kDeclared =
    fuzz::declare_form(0, "a block") && fuzz::declare_form(1, "a certified block");
}  // namespace
}  // namespace fedmesh

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace fedmesh;
  const ByteView bytes(data, size);
  if (const auto block = ledger::decode_block(bytes); fuzz::check_canonical(block, bytes)) {
    (void)ledger::body_root(block->records);
    fuzz::accepted(0);
  }
  const auto certified = ledger::decode_certified_block(bytes);
  if (!fuzz::check_canonical(certified, bytes)) return 0;
  fuzz::accepted(1);
  const auto& header = certified->block.header;
  for (const std::size_t members : {1, 4, 9}) {
    const std::vector<crypto::PublicKey> committee(members, header.proposer);
    (void)ledger::verify_certificate(certified->certificate, header, committee).ok();
  }
  return 0;
}
