// Byte strings and the few conversions that everybody needs.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace fedmesh {

using Bytes = std::vector<std::uint8_t>;
using ByteView = std::span<const std::uint8_t>;
using MutableByteView = std::span<std::uint8_t>;

std::string to_hex(ByteView bytes);
Result<Bytes> from_hex(std::string_view hex);  // invalid_argument: odd length or a non-hex digit

inline ByteView as_bytes(std::string_view text) {
  return {reinterpret_cast<const std::uint8_t*>(text.data()), text.size()};
}
inline std::string_view as_text(ByteView bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}
inline Bytes to_bytes(ByteView view) { return {view.begin(), view.end()}; }
inline void append(Bytes& to, ByteView more) { to.insert(to.end(), more.begin(), more.end()); }

// Little-endian, whatever the machine.
void store_le32(MutableByteView to, std::uint32_t value);
void store_le64(MutableByteView to, std::uint64_t value);
std::uint32_t load_le32(ByteView from);
std::uint64_t load_le64(ByteView from);

// Lexicographic, for maps keyed by bytes.
struct BytesLess {
  using is_transparent = void;
  bool operator()(ByteView a, ByteView b) const;
};

}  // namespace fedmesh
