#include "worker/trainer/task_executor.h"

#include <exception>

#include "models/data/safetensors.h"
#include "models/kernels/evaluation.h"
#include "models/kernels/record_step.h"
#include "models/kernels/statistics.h"

namespace fedmesh::trainer {
namespace {

Result<Bytes> describe(const DescribeTask& task, DataLoader& loader) {
  FM_TRY(const auto data, loader.load(task.data));
  DescribeResult out;
  out.rows = data->rows();
  out.features = data->features;
  out.schema_hash = task.data.schema.hash();
  out.label_count.resize(data->classes);
  for (const std::int32_t label : data->labels) ++out.label_count[static_cast<std::size_t>(label)];
  return codec::encode(out);
}

Bytes encode_sum(const models::RecordSum& sum) {
  return codec::encode(VectorResult{.values = to_le_bytes(sum.values), .examples = sum.records});
}

Result<Bytes> statistics(const StatisticsTask& task, DataLoader& loader) {
  DataView raw = task.data;  // the sums are taken before standardisation and scaling
  raw.standardisation.clear();
  raw.input_scale_nano = 1'000'000'000;
  FM_TRY(const auto data, loader.load(raw));
  FM_TRY(const auto sum, models::statistics_sum(*data, raw.schema, task.fraction_bits));
  return encode_sum(sum);
}

Result<Bytes> gradient(const GradientTask& task, DataLoader& loader,
                       const TaskExecutor::OnProgress& on_progress) {
  FM_TRY(const auto data, loader.load(task.data));
  FM_TRY(const auto parameters, load_model(task.model, task.architecture));
  FM_TRY(const auto sum, models::clipped_gradient_sum(*data, task.architecture, parameters,
                                                      {.fraction_bits = task.fraction_bits,
                                                       .clip_granules = task.clip_granules},
                                                      on_progress));
  return encode_sum(sum);
}

Result<Bytes> evaluate(const EvaluateTask& task, DataLoader& loader) {
  FM_TRY(const auto data, loader.load(task.data));
  FM_TRY(const auto parameters, load_model(task.model, task.architecture));
  FM_TRY(const auto result, models::evaluate_dense(*data, task.architecture, parameters));
  return codec::encode(EvaluateResult{.count = result.count,
                                      .correct = result.correct,
                                      .loss_micro = to_loss_micro(result.loss),
                                      .class_count = result.class_count,
                                      .class_correct = result.class_correct});
}

}  // namespace

Response TaskExecutor::run(const Request& request, const OnProgress& on_progress) {
  try {
    auto result = execute(request, on_progress);
    if (result.ok()) return success(request.id, std::move(result).value());
    return failure(request.id,
                   result.error().with_context(std::string(to_string(request.kind)) + " task"));
  } catch (const std::exception& error) {  // out of memory: the next task may be smaller
    return failure(request.id, exhausted(std::string(to_string(request.kind)) +
                                         " task stopped: " + error.what()));
  }
}

Result<Bytes> KernelExecutor::execute(const Request& request, const OnProgress& on_progress) {
  switch (request.kind) {
    case TaskKind::describe: {
      FM_TRY(const auto task, decode_task<DescribeTask>(request.body));
      return describe(task, data_);
    }
    case TaskKind::statistics: {
      FM_TRY(const auto task, decode_task<StatisticsTask>(request.body));
      return statistics(task, data_);
    }
    case TaskKind::gradient: {
      FM_TRY(const auto task, decode_task<GradientTask>(request.body));
      return gradient(task, data_, on_progress);
    }
    case TaskKind::evaluate: {
      FM_TRY(const auto task, decode_task<EvaluateTask>(request.body));
      return evaluate(task, data_);
    }
    case TaskKind::train:
      return invalid_argument(
          "minibatch training needs LibTorch, which this process is built without; start "
          "fedmesh-trainer");
  }
  return invalid_argument("unknown kind of task");
}

Result<std::vector<float>> load_model(ByteView safetensors,
                                      const models::Architecture& architecture) {
  FM_TRY_VOID(architecture.validate());
  FM_TRY(const auto tensors, models::decode_safetensors(safetensors));
  return models::flatten(tensors, architecture.layout());
}

}  // namespace fedmesh::trainer
