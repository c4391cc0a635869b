// A structure with every kind of member that the codec knows.
#pragma once

#include "base/codec/codec.h"

namespace fedmesh::fuzz {

enum class Colour : std::uint8_t { red = 1, green = 2, last = 255 };
inline bool is_known(Colour c) {
  return c == Colour::red || c == Colour::green || c == Colour::last;
}

struct Part {
  std::int8_t tiny = 0;
  std::optional<Digest> digest;
  FM_FIELDS(tiny, digest)
};

struct Everything {
  bool flag = false;
  std::uint8_t byte = 0;
  std::uint16_t number16 = 0;
  std::uint32_t number32 = 0;
  std::uint64_t number64 = 0;
  std::int32_t signed32 = 0;
  std::int64_t signed64 = 0;
  std::string text;
  Bytes bytes;
  NodeId node;
  Height height;
  std::array<std::uint8_t, 3> three{};
  Colour colour = Colour::red;
  std::optional<Part> part;
  std::vector<Part> parts;
  std::vector<std::vector<std::uint64_t>> table;
  std::pair<std::string, std::optional<std::int64_t>> pair;
  FM_FIELDS(flag, byte, number16, number32, number64, signed32, signed64, text, bytes, node, height,
            three, colour, part, parts, table, pair)
};

}  // namespace fedmesh::fuzz
