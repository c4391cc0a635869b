// Carries out every task, with LibTorch where tensors are needed.
#pragma once

#include "worker/trainer/task_executor.h"

namespace fedmesh::trainer {

// Describe, statistics and gradient as KernelExecutor (record-level privacy rests on its kernels);
// train and evaluate for every architecture, on any device. Call models::initialise_runtime()
// first.
class TorchExecutor final : public KernelExecutor {
 protected:
  Result<Bytes> execute(const Request& request, const OnProgress& on_progress) override;
};

}  // namespace fedmesh::trainer
