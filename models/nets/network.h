// The built-in networks as LibTorch computes them. For the sources of this folder only: it is the
// one header here that includes LibTorch.
#pragma once

#include <ATen/core/Tensor.h>
#include <c10/util/Exception.h>

#include <cstdint>
#include <span>
#include <string>
#include <unordered_map>
#include <vector>

#include "base/result.h"
#include "models/data/architecture.h"
#include "models/data/dataset.h"

namespace fedmesh::models {

// cpu, cuda or auto. unavailable: cuda is asked for and not there.
Result<at::Device> find_device(const std::string& name);

// All parameters live in one flat tensor in layout order; the named parameters are views.
class Network {
 public:
  // Checks architecture, sizes and finiteness.
  static Result<Network> create(const Architecture& architecture, std::span<const float> parameters,
                                at::Device device, bool trainable);

  at::Tensor logits(const at::Tensor& inputs) const;  // [n, classes], or [n, 1] for two classes
  at::Tensor mean_loss(const at::Tensor& logits, const at::Tensor& labels) const;
  at::Tensor predictions(const at::Tensor& logits) const;  // [n] class numbers

  std::vector<at::Tensor>& trainable() { return trainable_; }  // in layout order
  std::vector<float> parameters() const;

 private:
  Network() = default;
  const at::Tensor& parameter(const std::string& name) const { return views_.at(name); }

  Architecture architecture_;
  at::Tensor flat_;
  std::vector<at::Tensor> trainable_;
  std::unordered_map<std::string, at::Tensor> views_;
};

// The data set on a device. On the processor the inputs are not copied: `data` must outlive it.
struct DeviceData {
  at::Tensor inputs;  // [rows, shape...]
  at::Tensor labels;  // [rows], int64
};
DeviceData to_device(const Dataset& data, const Architecture& architecture, at::Device device);

// Runs `body`, which returns a Result, and turns LibTorch's exceptions into errors.
template <class Body>
auto guarded(Body&& body) -> decltype(body()) {
  try {
    return body();
  } catch (const c10::Error& error) {
    return unavailable(std::string("LibTorch failed: ") + error.what_without_backtrace());
  } catch (const std::bad_alloc&) {
    return exhausted("out of memory in LibTorch; use a smaller batch_size or a machine with more");
  } catch (const std::exception& error) {
    return unavailable(std::string("LibTorch failed: ") + error.what());
  }
}

}  // namespace fedmesh::models
