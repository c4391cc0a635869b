// Tasks on generated data, for the tests of this folder.
#pragma once

#include "models/data/architecture.h"
#include "models/data/generators.h"
#include "models/data/safetensors.h"
#include "worker/trainer/task.h"

namespace fedmesh::trainer {

inline DataView clinic(const std::string& uri = "clinics:silo=0,silos=5,seed=1") {
  return {.uri = uri,
          .schema = models::clinics_schema(),
          .blob = {},
          .standardisation = {},
          .input_scale_nano = 1'000'000'000};
}

inline DataView digit_images(int rows) {
  DataView view = clinic("digits:seed=3,rows=" + std::to_string(rows));
  view.schema = models::digits_schema();
  return view;
}

inline models::Architecture logistic_for(const models::Schema& schema) {
  return {.kind = models::ArchitectureKind::logistic,
          .input_shape = {static_cast<std::int64_t>(schema.features())},
          .classes = schema.classes,
          .hidden = {}};
}

inline models::Architecture cnn_for_digits() {
  return {.kind = models::ArchitectureKind::cnn,
          .input_shape = {1, 28, 28},
          .classes = 10,
          .hidden = {}};
}

inline Bytes initial_model(const models::Architecture& architecture) {
  return models::encode_safetensors(models::initial_parameters(architecture, 1));
}

template <class Task>
Request request(std::uint64_t id, TaskKind kind, const Task& task) {
  return {.id = id, .kind = kind, .body = codec::encode(task)};
}

inline Request describe_request(std::uint64_t id) {
  return request(id, TaskKind::describe, DescribeTask{clinic()});
}

inline Request gradient_request(std::uint64_t id) {
  const models::Architecture architecture = logistic_for(models::clinics_schema());
  return request(id, TaskKind::gradient,
                 GradientTask{.data = clinic(),
                              .architecture = architecture,
                              .model = initial_model(architecture),
                              .fraction_bits = 12,
                              .clip_granules = 4096});
}

inline Request evaluate_request(std::uint64_t id) {
  const models::Architecture architecture = logistic_for(models::clinics_schema());
  return request(id, TaskKind::evaluate,
                 EvaluateTask{.data = clinic(),
                              .architecture = architecture,
                              .model = initial_model(architecture),
                              .device = "cpu"});
}

inline Request statistics_request(std::uint64_t id) {
  return request(id, TaskKind::statistics, StatisticsTask{.data = clinic(), .fraction_bits = 12});
}

inline Request train_request(std::uint64_t id, int rows = 64, std::uint32_t epochs = 1) {
  return request(id, TaskKind::train,
                 TrainTask{.data = digit_images(rows),
                           .architecture = cnn_for_digits(),
                           .model = initial_model(cnn_for_digits()),
                           .options = {.learning_rate_nano = 50'000'000,
                                       .local_epochs = epochs,
                                       .batch_size = 32,
                                       .optimizer = models::Optimizer::sgd,
                                       .momentum_nano = 900'000'000,
                                       .weight_decay_nano = 0,
                                       .proximal_mu_nano = 0},
                           .seed = 5,
                           .device = "cpu"});
}

}  // namespace fedmesh::trainer
