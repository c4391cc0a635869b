// The trainer's side of the pipe.
#pragma once

#include "base/result.h"
#include "worker/trainer/task.h"
#include "worker/trainer/task_executor.h"

namespace fedmesh::trainer {

// Announces `ready` on `out`, then answers the requests that arrive on `in`, one after the other,
// until `in` ends. Progress is sent at most five times a second. corruption: `in` carries something
// other than requests, or ends inside one; the process should then end, as nobody can say where
// the next request begins. unavailable: a pipe failed.
Result<void> serve(int in, int out, const Ready& ready, TaskExecutor& executor);

}  // namespace fedmesh::trainer
