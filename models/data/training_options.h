// How a worker trains locally. Real numbers are integers in nano units, because the options are
// part of the hashed job record.
#pragma once

#include <cstdint>

#include "base/codec/codec.h"

namespace fedmesh::models {

enum class Optimizer : std::uint8_t { sgd = 1, adam = 2 };
inline bool is_known(Optimizer o) { return o == Optimizer::sgd || o == Optimizer::adam; }

struct TrainingOptions {
  std::int64_t learning_rate_nano = 0;
  std::uint32_t local_epochs = 1;
  std::uint32_t batch_size = 32;
  Optimizer optimizer = Optimizer::sgd;
  std::int64_t momentum_nano = 0;  // sgd
  std::int64_t weight_decay_nano = 0;
  std::int64_t proximal_mu_nano =
      0;  // FedProx (Li et al. 2020): mu/2 ‖w − base‖² is added to the loss
  FM_FIELDS(learning_rate_nano, local_epochs, batch_size, optimizer, momentum_nano,
            weight_decay_nano, proximal_mu_nano)
};

}  // namespace fedmesh::models
