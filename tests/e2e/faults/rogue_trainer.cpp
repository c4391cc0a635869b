// Stands in for fedmesh-trainer and answers every training with what its own name says: "nan" or
// "infinity". Everything else it does as it should.
#include <limits>
#include <string>

#include "base/crypto/keys.h"
#include "models/data/architecture.h"
#include "worker/trainer/serve.h"

namespace {

using namespace fedmesh;

class RogueExecutor final : public trainer::KernelExecutor {
 public:
  explicit RogueExecutor(float value) : value_(value) {}

 protected:
  Result<Bytes> execute(const trainer::Request& request, const OnProgress& on_progress) override {
    if (request.kind != trainer::TaskKind::train)
      return KernelExecutor::execute(request, on_progress);
    FM_TRY(const auto task, trainer::decode_task<trainer::TrainTask>(request.body));
    FM_TRY(const auto rows, data().load(task.data));
    const std::vector<float> delta(models::elements(task.architecture.layout()), value_);
    return codec::encode(trainer::TrainResult{trainer::to_le_bytes(delta), rows->rows(), 1});
  }

 private:
  float value_;
};

}  // namespace

int main(int, char** arguments) {
  using Floats = std::numeric_limits<float>;
  crypto::initialise();
  const bool nan = std::string(arguments[0]).ends_with("nan");
  RogueExecutor executor(nan ? Floats::quiet_NaN() : Floats::infinity());
  return trainer::serve(0, 1, {.engine = "rogue", .blas = "", .devices = {"cpu"}}, executor).ok()
             ? 0
             : 1;
}
