#include "worker/trainer/runner/torch_executor.h"

#include "models/nets/evaluation.h"
#include "models/nets/training.h"

namespace fedmesh::trainer {
namespace {

Result<Bytes> train(const TrainTask& task, DataLoader& loader,
                    const TaskExecutor::OnProgress& on_progress) {
  FM_TRY(const auto data, loader.load(task.data));
  FM_TRY(const auto base, load_model(task.model, task.architecture));
  FM_TRY(auto outcome, models::train(task.architecture, base, *data, task.options, task.seed,
                                     task.device, on_progress));
  std::vector<float>& delta = outcome.parameters;
  for (std::size_t i = 0; i < delta.size(); ++i) delta[i] -= base[i];
  return codec::encode(TrainResult{.delta = to_le_bytes(delta),
                                   .examples = data->rows(),
                                   .loss_micro = to_loss_micro(outcome.mean_loss)});
}

Result<Bytes> evaluate(const EvaluateTask& task, DataLoader& loader,
                       const TaskExecutor::OnProgress& on_progress) {
  FM_TRY(const auto data, loader.load(task.data));
  FM_TRY(const auto parameters, load_model(task.model, task.architecture));
  FM_TRY(const auto result,
         models::evaluate(task.architecture, parameters, *data, task.device, on_progress));
  return codec::encode(EvaluateResult{.count = result.count,
                                      .correct = result.correct,
                                      .loss_micro = to_loss_micro(result.loss),
                                      .class_count = result.class_count,
                                      .class_correct = result.class_correct});
}

}  // namespace

Result<Bytes> TorchExecutor::execute(const Request& request, const OnProgress& on_progress) {
  if (request.kind == TaskKind::train) {
    FM_TRY(const auto task, decode_task<TrainTask>(request.body));
    return train(task, data(), on_progress);
  }
  if (request.kind == TaskKind::evaluate) {
    FM_TRY(const auto task, decode_task<EvaluateTask>(request.body));
    return evaluate(task, data(), on_progress);
  }
  return KernelExecutor::execute(request, on_progress);
}

}  // namespace fedmesh::trainer
