// The payload of every kind of record. Input: the kind, then the payload.
#include "tests/fuzz/protocol_forms.h"
#include "tests/fuzz/target.h"

namespace fedmesh {
namespace {

const bool kDeclared = fuzz::declare_known<ledger::RecordKind>();

// A job that decodes is judged, and a valid one is what nodes compute with.
void judge(const protocol::Job& job) {
  if (!job.spec.validate().ok()) return;
  (void)job.spec.architecture.layout().size();
  (void)job.spec.schema.features();
  (void)job.spec.config_hash();
}
template <class Payload>
void judge(const Payload&) {}

}  // namespace
}  // namespace fedmesh

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace fedmesh;
  fuzz::Input input(data, size);
  const std::uint8_t kind = input.byte();
  const ByteView bytes = input.rest();
  fuzz::with_payload(static_cast<ledger::RecordKind>(kind), bytes, [&](const auto& payload) {
    if (!fuzz::check_canonical(payload, bytes)) return;
    judge(*payload);
    fuzz::accepted(kind);
  });
  return 0;
}
