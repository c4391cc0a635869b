// Carries tasks out. The trainer process runs one behind its pipe (serve.h); the simulator calls
// one directly.
#pragma once

#include <cstdint>
#include <functional>

#include "base/bytes.h"
#include "base/result.h"
#include "worker/trainer/data_loader.h"
#include "worker/trainer/task.h"

namespace fedmesh::trainer {

// Not thread-safe. A task's answer depends on the request and the data alone, not on earlier tasks.
class TaskExecutor {
 public:
  using OnProgress = std::function<void(std::uint64_t done, std::uint64_t total)>;

  virtual ~TaskExecutor() = default;
  // Never throws; whatever is wrong with the request is in the response.
  Response run(const Request& request, const OnProgress& on_progress = {});

 protected:
  virtual Result<Bytes> execute(const Request& request, const OnProgress& on_progress) = 0;
};

// Without LibTorch: describe, statistics, gradient and evaluate (logistic and mlp only).
class KernelExecutor : public TaskExecutor {
 protected:
  Result<Bytes> execute(const Request& request, const OnProgress& on_progress) override;
  DataLoader& data() { return data_; }

 private:
  DataLoader data_;
};

// The parameters of a model file in layout order. invalid_argument or corruption, with the reason.
Result<std::vector<float>> load_model(ByteView safetensors,
                                      const models::Architecture& architecture);

}  // namespace fedmesh::trainer
