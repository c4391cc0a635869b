// A light client that is shown proofs one after the other. Input: a chunk with the genesis, then a
// chunk per proof.
#include "coordinator/ledger/light_client.h"

#include "tests/fuzz/target.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace fedmesh;
  fuzz::Input input(data, size);
  const auto genesis = ledger::decode_genesis(input.chunk());
  if (!genesis.ok()) return 0;
  ledger::LightClient client(*genesis);
  Height newest;
  while (!input.empty()) {
    const auto proof = ledger::decode_state_entry_proof(input.chunk());
    if (!proof.ok()) continue;
    if (client.advance_and_check(*proof).ok()) fuzz::accepted();
    (void)client.check(proof->entry, proof->header.height).ok();
    (void)client.value_of("joblog/", proof->entry).ok();
    if (client.newest() == nullptr) continue;
    FM_CHECK(client.newest()->height >= newest, "a light client goes back");
    newest = client.newest()->height;
  }
  return 0;
}
