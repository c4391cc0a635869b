#include "models/data/tensor.h"

#include <algorithm>
#include <bit>
#include <optional>

namespace fedmesh::models {
namespace {

// Nothing on overflow or a negative extent.
std::optional<std::size_t> product(const std::vector<std::int64_t>& shape) {
  std::size_t total = 1;
  for (const std::int64_t extent : shape) {
    if (extent < 0) return std::nullopt;
    if (__builtin_mul_overflow(total, static_cast<std::size_t>(extent), &total))
      return std::nullopt;
  }
  return total;
}

template <class Word, class Value>
Bytes to_little_endian(const std::vector<Value>& values) {
  Bytes out(values.size() * sizeof(Word));
  for (std::size_t i = 0; i < values.size(); ++i) {
    const Word word = std::bit_cast<Word>(values[i]);
    for (std::size_t b = 0; b < sizeof(Word); ++b)
      out[i * sizeof(Word) + b] = static_cast<std::uint8_t>(word >> (8 * b));
  }
  return out;
}

template <class Word, class Value>
std::vector<Value> from_little_endian(const Bytes& data) {
  std::vector<Value> out(data.size() / sizeof(Word));
  for (std::size_t i = 0; i < out.size(); ++i) {
    Word word = 0;
    for (std::size_t b = 0; b < sizeof(Word); ++b)
      word |= static_cast<Word>(data[i * sizeof(Word) + b]) << (8 * b);
    out[i] = std::bit_cast<Value>(word);
  }
  return out;
}

std::string to_text(const std::vector<std::int64_t>& shape) {
  std::string out = "[";
  for (std::size_t i = 0; i < shape.size(); ++i)
    out += (i == 0 ? "" : ", ") + std::to_string(shape[i]);
  return out + "]";
}

}  // namespace

std::size_t size_of(DType type) {
  switch (type) {
    case DType::f32:
    case DType::i32:
      return 4;
    case DType::f64:
    case DType::i64:
      return 8;
    case DType::u8:
      return 1;
  }
  FM_CHECK(false, "a tensor has an unknown type");
}

std::size_t Tensor::elements() const {
  const auto total = product(shape);
  FM_CHECK(total.has_value(), "a tensor's shape overflows");
  return *total;
}

bool Tensor::consistent() const {
  const auto total = product(shape);
  std::size_t bytes = 0;
  return total && !__builtin_mul_overflow(*total, size_of(dtype), &bytes) && bytes == data.size();
}

std::vector<float> Tensor::floats() const {
  FM_CHECK(dtype == DType::f32, "floats() of a tensor of another type");
  return from_little_endian<std::uint32_t, float>(data);
}

std::vector<double> Tensor::doubles() const {
  FM_CHECK(dtype == DType::f64, "doubles() of a tensor of another type");
  return from_little_endian<std::uint64_t, double>(data);
}

Tensor Tensor::of(std::string name, std::vector<std::int64_t> shape,
                  const std::vector<float>& values) {
  Tensor out{std::move(name), DType::f32, std::move(shape),
             to_little_endian<std::uint32_t>(values)};
  FM_CHECK(out.consistent(), "values do not fill the tensor's shape");
  return out;
}

Tensor Tensor::of(std::string name, std::vector<std::int64_t> shape,
                  const std::vector<double>& values) {
  Tensor out{std::move(name), DType::f64, std::move(shape),
             to_little_endian<std::uint64_t>(values)};
  FM_CHECK(out.consistent(), "values do not fill the tensor's shape");
  return out;
}

std::size_t elements(const Layout& layout) {
  std::size_t total = 0;
  for (const auto& parameter : layout) {
    const auto count = product(parameter.shape);
    FM_CHECK(count && !__builtin_add_overflow(total, *count, &total), "a layout overflows");
  }
  return total;
}

Result<std::vector<float>> flatten(const Tensors& tensors, const Layout& layout) {
  std::vector<float> out;
  out.reserve(elements(layout));
  for (const auto& wanted : layout) {
    const auto found = std::find_if(tensors.begin(), tensors.end(),
                                    [&](const Tensor& t) { return t.name == wanted.name; });
    if (found == tensors.end())
      return invalid_argument("the model has no tensor '" + wanted.name + "'");
    if (found->dtype != DType::f32)
      return invalid_argument("tensor '" + wanted.name + "' is not of type F32");
    if (found->shape != wanted.shape)
      return invalid_argument("tensor '" + wanted.name + "' has shape " + to_text(found->shape) +
                              ", the architecture needs " + to_text(wanted.shape));
    if (!found->consistent())
      return corruption("tensor '" + wanted.name + "' has fewer or more bytes than its shape");
    const auto values = found->floats();
    out.insert(out.end(), values.begin(), values.end());
  }
  return out;
}

Tensors unflatten(const std::vector<float>& values, const Layout& layout) {
  FM_CHECK(values.size() == elements(layout), "the vector has not the layout's length");
  Tensors out;
  auto from = values.begin();
  for (const auto& parameter : layout) {
    const auto to = from + static_cast<std::ptrdiff_t>(*product(parameter.shape));
    out.push_back(Tensor::of(parameter.name, parameter.shape, std::vector<float>(from, to)));
    from = to;
  }
  return out;
}

}  // namespace fedmesh::models
