#include "models/nets/evaluation.h"

#include <ATen/core/grad_mode.h>

#include <algorithm>
#include <cmath>

#include "models/kernels/dense.h"
#include "models/nets/network.h"

namespace fedmesh::models {

Result<Evaluation> evaluate(const Architecture& architecture, std::span<const float> parameters,
                            const Dataset& data, const std::string& device,
                            const std::function<void(std::uint64_t, std::uint64_t)>& on_batch) {
  return guarded([&]() -> Result<Evaluation> {
    constexpr std::int64_t kBatch = 256;
    FM_TRY_VOID(check_fits(data, architecture));
    FM_TRY(const at::Device place, find_device(device));
    FM_TRY(const Network net,
           Network::create(architecture, parameters, place, /*trainable=*/false));
    const at::NoGradGuard no_grad;
    const DeviceData on_device = to_device(data, architecture, place);
    Evaluation out;
    out.class_count.resize(architecture.classes);
    out.class_correct.resize(architecture.classes);
    double loss = 0;
    const auto rows = static_cast<std::int64_t>(data.rows());
    for (std::int64_t first = 0; first < rows; first += kBatch) {
      const std::int64_t size = std::min(kBatch, rows - first);
      const at::Tensor logits = net.logits(on_device.inputs.narrow(0, first, size));
      const double batch_loss =
          net.mean_loss(logits, on_device.labels.narrow(0, first, size)).item<double>();
      loss += batch_loss * static_cast<double>(size);
      const at::Tensor predicted = net.predictions(logits).to(at::kCPU).contiguous();
      for (std::int64_t i = 0; i < size; ++i) {
        const auto label =
            static_cast<std::size_t>(data.labels[static_cast<std::size_t>(first + i)]);
        const bool right =
            predicted.data_ptr<std::int64_t>()[i] == static_cast<std::int64_t>(label);
        ++out.class_count[label];
        out.class_correct[label] += right;
        out.correct += right;
      }
      if (on_batch) on_batch(static_cast<std::uint64_t>(first + size), data.rows());
    }
    out.count = data.rows();
    out.loss = rows == 0 ? 0 : loss / static_cast<double>(rows);
    return out;
  });
}

}  // namespace fedmesh::models
