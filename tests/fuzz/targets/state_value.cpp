// The values of the ledger state that light clients are shown. Input: which type, then the value.
#include "tests/fuzz/protocol_forms.h"
#include "tests/fuzz/target.h"

namespace fedmesh {
namespace {
const bool kDeclared = fuzz::declare_alternatives<fuzz::StateValue>();
}  // namespace
}  // namespace fedmesh

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace fedmesh;
  fuzz::Input input(data, size);
  const std::uint8_t form = input.byte();
  const ByteView bytes = input.rest();
  fuzz::with_state_value(form, bytes, [&](const auto& value) {
    if (fuzz::check_canonical(value, bytes)) fuzz::accepted(form);
  });
  return 0;
}
