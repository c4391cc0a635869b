// Named tensors as plain bytes: what a model file holds, without LibTorch.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/bytes.h"
#include "base/result.h"

namespace fedmesh::models {

enum class DType : std::uint8_t { f32, f64, i32, i64, u8 };
std::size_t size_of(DType type);

struct Tensor {
  std::string name;
  DType dtype = DType::f32;
  std::vector<std::int64_t> shape;
  Bytes data;  // little-endian, row-major; size = product(shape) * size_of(dtype)

  std::size_t elements() const;         // product of the shape; 1 for a scalar
  bool consistent() const;              // data has the size that shape and dtype say; no overflow
  std::vector<float> floats() const;    // dtype f32 only
  std::vector<double> doubles() const;  // dtype f64 only
  static Tensor of(std::string name, std::vector<std::int64_t> shape,
                   const std::vector<float>& values);
  static Tensor of(std::string name, std::vector<std::int64_t> shape,
                   const std::vector<double>& values);
  friend bool operator==(const Tensor&, const Tensor&) = default;
};

using Tensors = std::vector<Tensor>;  // sorted by name, names distinct

// Name and shape of every parameter of a model in name order: how a flat vector maps to tensors.
struct ParameterShape {
  std::string name;
  std::vector<std::int64_t> shape;
  friend bool operator==(const ParameterShape&, const ParameterShape&) = default;
};
using Layout = std::vector<ParameterShape>;
std::size_t elements(const Layout& layout);

// The f32 tensors named in `layout`, concatenated in layout order. Others in `tensors` are ignored.
// invalid_argument names a tensor that is missing or has another shape or type.
Result<std::vector<float>> flatten(const Tensors& tensors, const Layout& layout);
Tensors unflatten(const std::vector<float>& values,
                  const Layout& layout);  // sizes must match (checked)

}  // namespace fedmesh::models
