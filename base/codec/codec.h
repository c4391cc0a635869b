// Canonical encoding: fixed-order MessagePack arrays with minimal integers, no maps, no floats, no
// nil. Two different byte strings never decode to equal values: whatever would re-encode
// differently is refused.
//
// A struct lists its fields once, in wire order:
//     struct Commit { JobId job; RoundNumber round; FM_FIELDS(job, round) };
// and encode(value) / decode<Commit>(bytes) follow. Supported members: bool, unsigned and signed
// integers, std::string (UTF-8 is not checked), Bytes, Id, Number, std::array<uint8_t, N>, enums
// with `bool is_known(E)` found by ADL, std::optional (an array of 0 or 1), std::vector, std::pair
// and structs with FM_FIELDS.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <tuple>
#include <type_traits>
#include <utility>
#include <vector>

#include "base/bytes.h"
#include "base/ids.h"
#include "base/result.h"

namespace fedmesh::codec {

#define FM_FIELDS(...)                            \
  auto fm_tie() { return std::tie(__VA_ARGS__); } \
  auto fm_tie() const { return std::tie(__VA_ARGS__); }

// What a decoder accepts before it looks at any field.
struct Limits {
  std::size_t bytes = 4u << 20;     // of the whole message
  std::size_t elements = 1u << 16;  // of one array
  std::size_t blob = 4u << 20;      // of one byte or text string
  std::size_t depth = 16;
};

class Encoder {
 public:
  Encoder();
  ~Encoder();
  Encoder(const Encoder&) = delete;
  Encoder& operator=(const Encoder&) = delete;

  void array(std::size_t count);
  void u64(std::uint64_t value);
  void i64(std::int64_t value);
  void boolean(bool value);
  void bin(ByteView value);
  void str(std::string_view value);
  Bytes take();

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

// Reads in the order of the Encoder's calls. Errors stick: after the first, every call returns a
// default and finish() reports it. `bytes` must outlive the decoder.
class Decoder {
 public:
  explicit Decoder(ByteView bytes, const Limits& limits = {});
  ~Decoder();
  Decoder(const Decoder&) = delete;
  Decoder& operator=(const Decoder&) = delete;

  std::size_t array();
  std::uint64_t u64();
  std::int64_t i64();
  bool boolean();
  ByteView bin();
  std::string_view str();
  void fail(Error error);  // the first one stands
  bool ok() const;
  // After the last field: corruption unless every element was read and the bytes were canonical.
  Result<void> finish();

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

namespace internal {

template <class T>
concept HasFields = requires(T& value) {
  value.fm_tie();
};

template <class T>
struct IsId : std::false_type {};
template <class Tag>
struct IsId<Id<Tag>> : std::true_type {};
template <class T>
struct IsNumber : std::false_type {};
template <class Tag>
struct IsNumber<Number<Tag>> : std::true_type {};
template <class T>
struct IsByteArray : std::false_type {};
template <std::size_t N>
struct IsByteArray<std::array<std::uint8_t, N>> : std::true_type {};
template <class T>
struct IsOptional : std::false_type {};
template <class T>
struct IsOptional<std::optional<T>> : std::true_type {};
template <class T>
struct IsVector : std::false_type {};
template <class T>
struct IsVector<std::vector<T>> : std::true_type {};
template <class T>
struct IsPair : std::false_type {};
template <class A, class B>
struct IsPair<std::pair<A, B>> : std::true_type {};

template <class T>
void write(Encoder& out, const T& value) {
  if constexpr (std::is_same_v<T, bool>) {
    out.boolean(value);
  } else if constexpr (std::is_enum_v<T>) {
    out.u64(static_cast<std::uint64_t>(value));
  } else if constexpr (std::is_integral_v<T> && std::is_signed_v<T>) {
    out.i64(value);
  } else if constexpr (std::is_integral_v<T>) {
    out.u64(value);
  } else if constexpr (std::is_same_v<T, std::string>) {
    out.str(value);
  } else if constexpr (std::is_same_v<T, Bytes>) {
    out.bin(value);
  } else if constexpr (IsId<T>::value) {
    out.bin(value.view());
  } else if constexpr (IsNumber<T>::value) {
    out.u64(value.value);
  } else if constexpr (IsByteArray<T>::value) {
    out.bin(value);
  } else if constexpr (IsOptional<T>::value) {
    out.array(value.has_value() ? 1 : 0);
    if (value.has_value()) internal::write(out, *value);
  } else if constexpr (IsVector<T>::value) {
    out.array(value.size());
    for (const auto& element : value) internal::write(out, element);
  } else if constexpr (IsPair<T>::value) {
    out.array(2);
    internal::write(out, value.first);
    internal::write(out, value.second);
  } else {
    static_assert(HasFields<T>, "give the type FM_FIELDS");
    const auto fields = value.fm_tie();
    out.array(std::tuple_size_v<decltype(fields)>);
    std::apply([&](const auto&... field) { (internal::write(out, field), ...); }, fields);
  }
}

template <class T>
void read_fixed(Decoder& in, T& to) {
  const ByteView raw = in.bin();
  if (!in.ok()) return;
  if (raw.size() != to.size()) return in.fail(corruption("a fixed-size field has another size"));
  std::copy(raw.begin(), raw.end(), to.begin());
}

template <class T>
void read(Decoder& in, T& value) {
  if constexpr (std::is_same_v<T, bool>) {
    value = in.boolean();
  } else if constexpr (std::is_enum_v<T>) {
    const std::uint64_t raw = in.u64();
    if (raw > 255) return in.fail(corruption("an enumeration is out of range"));
    value = static_cast<T>(raw);
    if (in.ok() && !is_known(value)) in.fail(corruption("an enumeration has an unknown value"));
  } else if constexpr (std::is_integral_v<T> && std::is_signed_v<T>) {
    const std::int64_t raw = in.i64();
    value = static_cast<T>(raw);
    if (value != raw) in.fail(corruption("an integer is out of range"));
  } else if constexpr (std::is_integral_v<T>) {
    const std::uint64_t raw = in.u64();
    value = static_cast<T>(raw);
    if (value != raw) in.fail(corruption("an integer is out of range"));
  } else if constexpr (std::is_same_v<T, std::string>) {
    value = std::string(in.str());
  } else if constexpr (std::is_same_v<T, Bytes>) {
    value = to_bytes(in.bin());
  } else if constexpr (IsId<T>::value) {
    read_fixed(in, value.bytes);
  } else if constexpr (IsNumber<T>::value) {
    value.value = in.u64();
  } else if constexpr (IsByteArray<T>::value) {
    read_fixed(in, value);
  } else if constexpr (IsOptional<T>::value) {
    const std::size_t count = in.array();
    if (count > 1) return in.fail(corruption("an optional field has more than one value"));
    value.reset();
    if (in.ok() && count == 1) internal::read(in, value.emplace());
  } else if constexpr (IsVector<T>::value) {
    const std::size_t count = in.array();
    value.clear();
    for (std::size_t i = 0; i < count && in.ok(); ++i) internal::read(in, value.emplace_back());
  } else if constexpr (IsPair<T>::value) {
    if (in.array() != 2) return in.fail(corruption("a pair has two elements"));
    internal::read(in, value.first);
    internal::read(in, value.second);
  } else {
    static_assert(HasFields<T>, "give the type FM_FIELDS");
    auto fields = value.fm_tie();
    if (in.array() != std::tuple_size_v<decltype(fields)>)
      return in.fail(corruption("a structure has another number of fields"));
    std::apply([&](auto&... field) { ((in.ok() ? internal::read(in, field) : void()), ...); },
               fields);
  }
}

}  // namespace internal

template <class T>
void write(Encoder& out, const T& value) {
  internal::write(out, value);
}

template <class T>
void read(Decoder& in, T& value) {
  internal::read(in, value);
}

template <class T>
Bytes encode(const T& value) {
  Encoder out;
  internal::write(out, value);
  return out.take();
}

template <class T>
Result<T> decode(ByteView bytes, const Limits& limits = {}) {
  Decoder in(bytes, limits);
  T value{};
  internal::read(in, value);
  FM_TRY_VOID(in.finish());
  return value;
}

}  // namespace fedmesh::codec
