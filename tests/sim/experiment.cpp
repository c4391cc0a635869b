#include "tests/sim/experiment.h"

#include <cmath>
#include <limits>

#include "aggregation/server_step.h"
#include "aggregation/statistics.h"
#include "models/data/dataset_blob.h"
#include "models/data/safetensors.h"
#include "models/data/source.h"
#include "models/data/standardise.h"

namespace fedmesh::sim {
namespace {

using protocol::JobSpec;
using trainer::DataView;
using trainer::TaskExecutor;
using trainer::TaskKind;

template <class Answer, class Task>
Result<Answer> ask(TaskExecutor& executor, TaskKind kind, const Task& task) {
  const auto response = executor.run({1, kind, codec::encode(task)});
  if (!response.ok) return invalid_argument(response.error);
  return trainer::decode_task<Answer>(response.body);
}

std::vector<std::int64_t> widened(const std::vector<std::int32_t>& values) {
  return {values.begin(), values.end()};
}

Result<Bytes> exact_constants(const JobSpec& spec, const DataView& raw, TaskExecutor& executor) {
  const unsigned bits = spec.preprocessing.fraction_bits;
  FM_TRY(const auto answer, (ask<trainer::VectorResult>(
                                executor, TaskKind::statistics,
                                trainer::StatisticsTask{raw, spec.preprocessing.fraction_bits})));
  FM_TRY(const auto sums, trainer::int32s_of(answer.values));
  std::vector<aggregation::ColumnBounds> bounds;
  for (const auto& column : spec.schema.columns)
    if (column.kind == models::ColumnKind::numeric)
      bounds.push_back({static_cast<double>(column.minimum_micro) / 1e6,
                        static_cast<double>(column.maximum_micro) / 1e6});
  FM_TRY(const auto columns,
         aggregation::column_statistics(widened(sums), bounds, answer.examples, bits));
  models::Standardisation out;
  for (const auto& column : columns) {
    out.mean.push_back(column.mean);
    out.scale.push_back(column.scale);
  }
  return models::encode_safetensors(models::to_tensors(out));
}

Result<Bytes> constants(const JobSpec& spec, const DataView& raw, TaskExecutor& executor) {
  switch (spec.preprocessing.standardise) {
    case protocol::Standardise::none:
      return Bytes{};
    case protocol::Standardise::bounds:
      return models::encode_safetensors(models::to_tensors(models::from_bounds(spec.schema)));
    case protocol::Standardise::private_query:
      return exact_constants(spec, raw, executor);
  }
  FM_CHECK(false, "a job has an unknown standardisation");
}

// One round on one data set, as a worker and the server step do it.
Result<std::vector<float>> trained(const JobSpec& spec, const DataView& data,
                                   const std::vector<float>& base, std::uint64_t seed,
                                   TaskExecutor& executor) {
  const models::Layout layout = spec.architecture.layout();
  Bytes model = models::encode_safetensors(models::unflatten(base, layout));
  const auto& privacy = spec.privacy;
  if (privacy.unit == protocol::PrivacyUnit::record) {
    const std::int64_t clip = privacy.clip_granules > 0 ? privacy.clip_granules
                                                        : std::numeric_limits<std::int32_t>::max();
    FM_TRY(const auto answer, (ask<trainer::VectorResult>(
                                  executor, TaskKind::gradient,
                                  trainer::GradientTask{data, spec.architecture, std::move(model),
                                                        privacy.fraction_bits, clip})));
    FM_TRY(const auto sums, trainer::int32s_of(answer.values));
    return aggregation::apply_mean(base, widened(sums), answer.examples, privacy.fraction_bits,
                                   spec.training.options.learning_rate_nano);
  }
  FM_TRY(const auto answer,
         (ask<trainer::TrainResult>(executor, TaskKind::train,
                                    trainer::TrainTask{data, spec.architecture, std::move(model),
                                                       spec.training.options, seed, "cpu"})));
  FM_TRY(auto parameters, trainer::floats_of(answer.delta));
  for (std::size_t i = 0; i < parameters.size(); ++i) parameters[i] += base[i];
  return parameters;
}

// All rows of all sources as one blob.
Result<Bytes> united(const models::Schema& schema, std::span<const std::string> data) {
  models::Dataset all;
  for (const auto& uri : data) {
    FM_TRY(const auto source, models::DataSource::parse(uri));
    FM_TRY(auto part, models::load(source, schema));
    if (all.features == 0) {
      all = std::move(part);
      continue;
    }
    all.inputs.insert(all.inputs.end(), part.inputs.begin(), part.inputs.end());
    all.labels.insert(all.labels.end(), part.labels.begin(), part.labels.end());
  }
  return models::encode_dataset(all);
}

}  // namespace

Result<std::vector<Scores>> score(const JobSpec& spec, std::span<const Model> models,
                                  std::span<const std::string> data, TaskExecutor& executor) {
  std::vector<Scores> out(models.size());
  // One source after the other: executors keep only the last few in memory.
  for (const auto& uri : data) {
    for (std::size_t i = 0; i < models.size(); ++i) {
      DataView view{.uri = uri,
                    .schema = spec.schema,
                    .blob = {},
                    .standardisation = models[i].standardisation,
                    .input_scale_nano = spec.training.input_scale_nano};
      auto answer = ask<trainer::EvaluateResult>(
          executor, TaskKind::evaluate,
          trainer::EvaluateTask{std::move(view), spec.architecture, models[i].parameters, "cpu"});
      if (!answer.ok()) return answer.error().with_context(uri);
      if (answer->count == 0) return invalid_argument(uri + ": has no rows");
      const Score set{answer->count, answer->correct,
                      static_cast<double>(answer->loss_micro) / 1e6};
      Score& pooled = out[i].pooled;
      out[i].sets.push_back(set);
      pooled.rows += set.rows;
      pooled.correct += set.correct;
      pooled.loss += (set.loss - pooled.loss) * static_cast<double>(set.rows) /
                     static_cast<double>(pooled.rows);
    }
  }
  return out;
}

Result<Model> train_alone(const JobSpec& spec, DataView data, std::uint64_t seed,
                          TaskExecutor& executor) {
  Model out;
  FM_TRY(out.standardisation, constants(spec, data, executor));
  data.standardisation = out.standardisation;
  data.input_scale_nano = spec.training.input_scale_nano;
  const models::Layout layout = spec.architecture.layout();
  FM_TRY(auto parameters,
         models::flatten(models::initial_parameters(spec.architecture, spec.initial_seed), layout));
  std::vector<double> sum(parameters.size(), 0.0);
  for (std::uint32_t round = 1; round <= spec.federation.rounds; ++round) {
    FM_TRY(parameters, trained(spec, data, parameters, seed * 1'000'003 + round, executor));
    aggregation::running_average(sum, parameters);
  }
  if (spec.training.average_iterates)
    parameters = aggregation::average(sum, spec.federation.rounds);
  out.parameters = models::encode_safetensors(models::unflatten(parameters, layout));
  return out;
}

Result<Baselines> train_baselines(const JobSpec& spec, std::span<const std::string> data,
                                  std::uint64_t seed, TaskExecutor& executor) {
  Baselines out;
  for (const auto& uri : data) {
    DataView own;
    own.uri = uri;
    own.schema = spec.schema;
    auto model = train_alone(spec, std::move(own), seed, executor);
    if (!model.ok()) return model.error().with_context("local training on " + uri);
    out.local.push_back(std::move(*model));
  }
  DataView all;
  all.schema = spec.schema;
  FM_TRY(all.blob, united(spec.schema, data));
  auto model = train_alone(spec, std::move(all), seed, executor);
  if (!model.ok()) return model.error().with_context("training on all data");
  out.pooled = std::move(*model);
  return out;
}

Spread spread(std::span<const double> values) {
  Spread out;
  const auto n = static_cast<double>(values.size());
  for (const double value : values) out.mean += value / n;
  double square = 0;
  for (const double value : values) square += (value - out.mean) * (value - out.mean);
  if (values.size() > 1) out.deviation = std::sqrt(square / (n - 1));
  return out;
}

}  // namespace fedmesh::sim
