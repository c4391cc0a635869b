#include "worker/trainer/task.h"

#include <bit>
#include <cmath>

#include "worker/trainer/frame.h"

namespace fedmesh::trainer {
namespace {

template <class T>
Bytes pack(const std::vector<T>& values) {
  static_assert(sizeof(T) == 4);
  Bytes out(values.size() * 4);
  for (std::size_t i = 0; i < values.size(); ++i)
    store_le32(MutableByteView(out).subspan(i * 4, 4), std::bit_cast<std::uint32_t>(values[i]));
  return out;
}

template <class T>
Result<std::vector<T>> unpack(ByteView bytes) {
  if (bytes.size() % 4 != 0) return corruption("a vector of 4-byte values has a ragged end");
  std::vector<T> out(bytes.size() / 4);
  for (std::size_t i = 0; i < out.size(); ++i)
    out[i] = std::bit_cast<T>(load_le32(bytes.subspan(i * 4, 4)));
  return out;
}

}  // namespace

const char* to_string(TaskKind kind) {
  switch (kind) {
    case TaskKind::describe:
      return "describe";
    case TaskKind::statistics:
      return "statistics";
    case TaskKind::gradient:
      return "gradient";
    case TaskKind::train:
      return "train";
    case TaskKind::evaluate:
      return "evaluate";
  }
  return "unknown";
}

std::int64_t to_loss_micro(double loss) {
  constexpr double kMax = static_cast<double>(kLossMicroMax);
  const double micro = loss * 1e6;
  if (!(micro < kMax)) return kLossMicroMax;  // NaN too
  return micro > 0 ? std::llround(micro) : 0;
}

codec::Limits task_limits() {
  return {.bytes = kFrameBytesMax, .elements = 1u << 16, .blob = kFrameBytesMax, .depth = 16};
}

Response success(std::uint64_t id, Bytes body) {
  return {.id = id, .ok = true, .error = {}, .body = std::move(body)};
}

Response failure(std::uint64_t id, const Error& error) {
  return {.id = id, .ok = false, .error = error.to_string(), .body = {}};
}

Bytes to_le_bytes(const std::vector<float>& values) { return pack(values); }
Bytes to_le_bytes(const std::vector<std::int32_t>& values) { return pack(values); }
Result<std::vector<float>> floats_of(ByteView bytes) { return unpack<float>(bytes); }
Result<std::vector<std::int32_t>> int32s_of(ByteView bytes) { return unpack<std::int32_t>(bytes); }

}  // namespace fedmesh::trainer
