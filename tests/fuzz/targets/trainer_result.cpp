// What a trainer answers. Input: the kind of the task, then the body.
#include "tests/fuzz/target.h"
#include "tests/fuzz/task_forms.h"

namespace fedmesh {
namespace {

const bool kDeclared = fuzz::declare_known<trainer::TaskKind>();

void use(const trainer::VectorResult& result) { (void)trainer::int32s_of(result.values).ok(); }
void use(const trainer::TrainResult& result) { (void)trainer::floats_of(result.delta).ok(); }
template <class Result>
void use(const Result&) {}

}  // namespace
}  // namespace fedmesh

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace fedmesh;
  fuzz::Input input(data, size);
  const auto kind = static_cast<trainer::TaskKind>(input.byte());
  const ByteView body = input.rest();
  fuzz::with_task_result(kind, body, [&](const auto& result) {
    if (!fuzz::check_canonical(result, body)) return;
    use(*result);
    fuzz::accepted(static_cast<std::size_t>(kind));
  });
  return 0;
}
