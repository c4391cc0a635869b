// The state entries that the chain itself keeps. The integer and the structure share no encoding.
#include "coordinator/ledger/entries.h"
#include "tests/fuzz/target.h"

namespace fedmesh {
namespace {
const bool kDeclared =
    fuzz::declare_form(0, "a sequence number") && fuzz::declare_form(1, "a job log");
}  // namespace
}  // namespace fedmesh

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace fedmesh;
  const ByteView bytes(data, size);
  if (const auto seq = ledger::decode_author_seq(bytes); seq.ok()) {
    FM_CHECK(std::ranges::equal(ledger::encode_author_seq(*seq), bytes),
             "a sequence number has another form");
    fuzz::accepted(0);
  }
  if (fuzz::check_canonical(codec::decode<ledger::JobLogEntry>(bytes), bytes)) fuzz::accepted(1);
  return 0;
}
