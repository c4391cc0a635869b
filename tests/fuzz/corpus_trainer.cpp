// Seeds of the trainer's frames, tasks and results.
#include "models/data/dataset_blob.h"
#include "models/data/generators.h"
#include "models/data/safetensors.h"
#include "models/data/standardise.h"
#include "tests/fuzz/corpus.h"
#include "worker/trainer/frame.h"

namespace fedmesh::fuzz {
namespace {

using namespace trainer;

const models::Architecture& logistic() {
  static const models::Architecture kLogistic{
      models::ArchitectureKind::logistic,
      {static_cast<std::int64_t>(models::clinics_schema().features())},
      2,
      {}};
  return kLogistic;
}

DataView three_patients(bool standardised) {
  DataView view;
  view.schema = models::clinics_schema();
  view.blob = models::encode_dataset(models::clinics_validation(1, 3));
  if (standardised)
    view.standardisation =
        models::encode_safetensors(models::to_tensors(models::from_bounds(view.schema)));
  return view;
}

template <class Body>
void add(Corpus& corpus, const std::string& target, TaskKind kind, const Body& body) {
  corpus.add(target, to_string(kind),
             prefixed(static_cast<std::uint8_t>(kind), codec::encode(body)));
}

void add_tasks(Corpus& corpus) {
  const Bytes model = models::encode_safetensors(models::initial_parameters(logistic(), 1));
  add(corpus, "trainer_task", TaskKind::describe, DescribeTask{three_patients(false)});
  add(corpus, "trainer_task", TaskKind::statistics, StatisticsTask{three_patients(false), 12});
  add(corpus, "trainer_task", TaskKind::gradient,
      GradientTask{three_patients(true), logistic(), model, 12, 4096});
  add(corpus, "trainer_task", TaskKind::train,
      TrainTask{three_patients(true), logistic(), model, {}, 1, "cpu"});
  add(corpus, "trainer_task", TaskKind::evaluate,
      EvaluateTask{three_patients(true), logistic(), model, "cpu"});
  add(corpus, "trainer_result", TaskKind::describe, DescribeResult{3, 11, {}, {2, 1}});
  for (const TaskKind kind : {TaskKind::statistics, TaskKind::gradient})
    add(corpus, "trainer_result", kind,
        VectorResult{to_le_bytes(std::vector<std::int32_t>{-1, 1}), 3});
  add(corpus, "trainer_result", TaskKind::train,
      TrainResult{to_le_bytes(std::vector<float>{0.5f, -2.0f}), 3, 700'000});
  add(corpus, "trainer_result", TaskKind::evaluate, EvaluateResult{3, 2, 600'000, {2, 1}, {1, 1}});
}

}  // namespace

void add_trainer_seeds(Corpus& corpus) {
  add_tasks(corpus);
  Bytes stream = frame_of(Ready{kProtocolVersion, "kernels", "", {"cpu"}}).value();
  append(stream, frame_of(Request{7, TaskKind::train, Bytes{1, 2, 3}}).value());
  append(stream, frame_of(Progress{7, 1, 2}).value());
  append(stream, frame_of(success(7, Bytes{4})).value());
  append(stream, frame_of(failure(8, invalid_argument("no"))).value());
  corpus.add("trainer_frame", "in-pieces", prefixed(2, stream));
  corpus.add("trainer_frame", "at-once", prefixed(255, stream));
}

}  // namespace fedmesh::fuzz
