// Stands in for fedmesh-trainer in rounds without training: the same pipe and messages, but an
// update that was made up once. Everything else a worker asks for is done as the trainer does.
#include <fcntl.h>
#include <unistd.h>

#include "base/crypto/keys.h"
#include "base/random.h"
#include "models/data/architecture.h"
#include "worker/trainer/serve.h"

namespace {

using namespace fedmesh;

class CannedExecutor final : public trainer::KernelExecutor {
 protected:
  Result<Bytes> execute(const trainer::Request& request, const OnProgress& on_progress) override {
    if (request.kind != trainer::TaskKind::train)
      return KernelExecutor::execute(request, on_progress);
    FM_TRY(const auto task, trainer::decode_task<trainer::TrainTask>(request.body));
    if (answer_.empty()) {
      FM_TRY(const auto rows, data().load(task.data));
      SeededRandom random(static_cast<std::uint64_t>(::getpid()));
      std::vector<float> delta(models::elements(task.architecture.layout()));
      for (float& value : delta)
        value = (static_cast<float>(random.next_u64() >> 40) / float{1 << 24} - 0.5f) / 100;
      answer_ = codec::encode(trainer::TrainResult{
          .delta = trainer::to_le_bytes(delta), .examples = rows->rows(), .loss_micro = 1});
    }
    return answer_;
  }

 private:
  Bytes answer_;
};

}  // namespace

int main() {
  crypto::initialise();
  CannedExecutor executor;
  return trainer::serve(0, 1, {.engine = "canned", .blas = "", .devices = {"cpu"}}, executor).ok()
             ? 0
             : 1;
}
