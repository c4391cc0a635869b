#include "models/kernels/evaluation.h"

#include <cmath>

#include "models/kernels/dense.h"

namespace fedmesh::models {

Result<Evaluation> evaluate_dense(const Dataset& data, const Architecture& architecture,
                                  std::span<const float> parameters) {
  FM_TRY_VOID(check_fits(data, architecture));
  FM_TRY(DenseNetwork net, DenseNetwork::create(architecture, parameters));
  Evaluation out;
  out.class_count.resize(architecture.classes);
  out.class_correct.resize(architecture.classes);
  double loss = 0;
  for (std::size_t i = 0; i < data.rows(); ++i) {
    const auto label = static_cast<std::uint32_t>(data.labels[i]);
    const auto prediction = net.predict(data.row(i), data.labels[i]);
    loss += prediction.loss;
    ++out.class_count[label];
    if (prediction.label == label && std::isfinite(prediction.loss)) {
      ++out.correct;
      ++out.class_correct[label];
    }
  }
  out.count = data.rows();
  out.loss = out.count == 0 ? 0 : loss / static_cast<double>(out.count);
  return out;
}

}  // namespace fedmesh::models
