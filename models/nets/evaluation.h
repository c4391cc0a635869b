// Evaluation of any built-in architecture with LibTorch, which stays behind this header.
#pragma once

#include <functional>
#include <span>
#include <string>

#include "base/result.h"
#include "models/kernels/evaluation.h"

namespace fedmesh::models {

// Errors as for train(). `on_batch` is called after every batch with the examples done and in all.
Result<Evaluation> evaluate(const Architecture& architecture, std::span<const float> parameters,
                            const Dataset& data, const std::string& device = "cpu",
                            const std::function<void(std::uint64_t, std::uint64_t)>& on_batch = {});

}  // namespace fedmesh::models
