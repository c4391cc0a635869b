// Tasks for the trainer, decoded and carried out by the kernels (on data that is in the task: a
// file or a generator is not touched). Input: the kind, then the body.
#include "tests/fuzz/target.h"
#include "tests/fuzz/task_forms.h"
#include "worker/trainer/task_executor.h"

namespace fedmesh {
namespace {

const bool kDeclared = fuzz::declare_known<trainer::TaskKind>();

// A model of 2^26 parameters is allowed and takes too long here.
template <class Task>
bool is_small(const Task& task) {
  if constexpr (requires { task.architecture; }) {
    return task.architecture.validate().ok() &&
           models::elements(task.architecture.layout()) <= 1000;
  } else {
    return true;
  }
}

}  // namespace
}  // namespace fedmesh

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace fedmesh;
  fuzz::Input input(data, size);
  const auto kind = static_cast<trainer::TaskKind>(input.byte());
  const ByteView body = input.rest();
  fuzz::with_task(kind, body, [&](const auto& task) {
    if (!fuzz::check_canonical(task, body)) return;
    fuzz::accepted(static_cast<std::size_t>(kind));
    if (!task->data.uri.empty() || !is_small(*task)) return;
    trainer::KernelExecutor executor;
    const auto response = executor.run({.id = 7, .kind = kind, .body = to_bytes(body)});
    FM_CHECK(response.id == 7 && response.ok == response.error.empty(), "a response says why");
  });
  return 0;
}
