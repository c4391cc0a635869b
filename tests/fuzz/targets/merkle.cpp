// The verifiers of Merkle proofs: inclusion, consistency, state entries. They see proofs from
// anybody, of any size.
#include "coordinator/ledger/merkle.h"

#include "tests/fuzz/merkle_claim.h"
#include "tests/fuzz/target.h"

namespace fedmesh {
namespace {
const bool kDeclared = fuzz::declare_form(0, "an inclusion that holds") &&
                       fuzz::declare_form(1, "a consistency that holds") &&
                       fuzz::declare_form(2, "a state entry that holds");
}  // namespace
}  // namespace fedmesh

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace fedmesh;
  const auto claim = codec::decode<fuzz::MerkleClaim>({data, size});
  if (!claim.ok()) return 0;
  const auto& c = *claim;
  if (ledger::verify_inclusion(c.first, c.number, c.size, c.path, c.root).ok()) fuzz::accepted(0);
  if (ledger::verify_consistency(c.number, c.first, c.size, c.root, c.path).ok()) fuzz::accepted(1);
  const std::optional<ByteView> value =
      c.value ? std::optional<ByteView>(*c.value) : std::optional<ByteView>();
  if (ledger::verify_state_proof(c.root, c.key, value, c.state).ok()) fuzz::accepted(2);
  return 0;
}
