// Which types the body of a trainer's request and of its response have.
#pragma once

#include "worker/trainer/task.h"

namespace fedmesh::fuzz {

// Calls use(Result<Task>); false for an unknown kind.
template <class Use>
bool with_task(trainer::TaskKind kind, ByteView body, Use use) {
  using namespace trainer;
  switch (kind) {  // no default: the compiler names the kind we forgot
    case TaskKind::describe:
      return use(decode_task<DescribeTask>(body)), true;
    case TaskKind::statistics:
      return use(decode_task<StatisticsTask>(body)), true;
    case TaskKind::gradient:
      return use(decode_task<GradientTask>(body)), true;
    case TaskKind::train:
      return use(decode_task<TrainTask>(body)), true;
    case TaskKind::evaluate:
      return use(decode_task<EvaluateTask>(body)), true;
  }
  return false;
}

template <class Use>
bool with_task_result(trainer::TaskKind kind, ByteView body, Use use) {
  using namespace trainer;
  switch (kind) {  // no default: the compiler names the kind we forgot
    case TaskKind::describe:
      return use(decode_task<DescribeResult>(body)), true;
    case TaskKind::statistics:
    case TaskKind::gradient:
      return use(decode_task<VectorResult>(body)), true;
    case TaskKind::train:
      return use(decode_task<TrainResult>(body)), true;
    case TaskKind::evaluate:
      return use(decode_task<EvaluateResult>(body)), true;
  }
  return false;
}

}  // namespace fedmesh::fuzz
