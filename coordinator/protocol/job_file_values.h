// A TOML text as a flat list of keys with their values and lines: all that job files need of TOML,
// so that toml++ stays in one .cpp.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace fedmesh::protocol {

inline constexpr std::size_t kJobFileBytesMax = 1u << 20;

struct TomlValue {
  enum class Type : std::uint8_t { text, integer, decimal, boolean, list, other };
  Type type = Type::other;
  std::string text;
  std::int64_t integer = 0;
  double decimal = 0;
  bool boolean = false;
  std::vector<TomlValue> list;

  std::string shown() const;  // for messages: as TOML, short, printable
};

struct TomlEntry {
  std::string path;  // "privacy.unit"; of an element of an array of tables: "data.columns[0].name"
  std::uint32_t line = 0;
  TomlValue value;
};

struct TomlDocument {
  std::vector<TomlEntry> entries;                 // in the order of their lines
  std::map<std::string, std::uint32_t> sections;  // "privacy", "data.columns[0]" -> line

  const TomlEntry* find(std::string_view path) const;
  std::size_t count(const std::string& array) const;  // elements of an array of tables
};

// invalid_argument "file:line: ...": not TOML, or too long.
// `error_line`, if given, is set to the line of a syntax error, counted from 1.
Result<TomlDocument> read_toml(std::string_view text, const std::string& file_name,
                               std::size_t* error_line = nullptr);

// For messages: control and non-ASCII bytes as '.', at most 60 bytes.
std::string printable(std::string_view text);

}  // namespace fedmesh::protocol
