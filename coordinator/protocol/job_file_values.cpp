#include "coordinator/protocol/job_file_values.h"

#include <toml++/toml.h>

#include <algorithm>
#include <array>
#include <charconv>

namespace fedmesh::protocol {
namespace {

using Type = TomlValue::Type;

std::uint32_t line_of(const toml::node& node) { return node.source().begin.line; }

TomlValue value_of(const toml::node& node) {
  TomlValue out;
  if (const auto* text = node.as_string()) {
    out.type = Type::text;
    out.text = text->get();
  } else if (const auto* integer = node.as_integer()) {
    out.type = Type::integer;
    out.integer = integer->get();
  } else if (const auto* decimal = node.as_floating_point()) {
    out.type = Type::decimal;
    out.decimal = decimal->get();
  } else if (const auto* boolean = node.as_boolean()) {
    out.type = Type::boolean;
    out.boolean = boolean->get();
  } else if (const auto* list = node.as_array()) {
    out.type = Type::list;
    for (const auto& element : *list) out.list.push_back(value_of(element));
  }
  return out;
}

bool holds_tables(const toml::array& array) {
  return !array.empty() && std::all_of(array.begin(), array.end(),
                                       [](const toml::node& node) { return node.is_table(); });
}

// The parser bounds the depth (at 256), and with it this recursion.
void flatten(const toml::table& table, const std::string& path, TomlDocument& out) {
  out.sections.try_emplace(path, line_of(table));
  for (const auto& [key, node] : table) {
    const std::string name = (path.empty() ? "" : path + ".") + std::string(key.str());
    if (const auto* inner = node.as_table()) {
      flatten(*inner, name, out);
    } else if (const auto* array = node.as_array(); array != nullptr && holds_tables(*array)) {
      for (std::size_t i = 0; i < array->size(); ++i)
        flatten(*array->get_as<toml::table>(i), name + "[" + std::to_string(i) + "]", out);
    } else {
      out.entries.push_back({name, line_of(node), value_of(node)});
    }
  }
}

}  // namespace

std::string printable(std::string_view text) {
  constexpr std::size_t kShownBytes = 60;
  std::string out(text.substr(0, kShownBytes));
  for (char& c : out)
    if (c < ' ' || c > '~') c = '.';
  return out + (text.size() > kShownBytes ? "..." : "");
}

std::string TomlValue::shown() const {
  switch (type) {
    case Type::text:
      return '"' + printable(text) + '"';
    case Type::integer:
      return std::to_string(integer);
    case Type::decimal: {
      std::array<char, 32> digits{};
      const auto end = std::to_chars(digits.data(), digits.data() + digits.size(), decimal).ptr;
      return {digits.data(), end};
    }
    case Type::boolean:
      return boolean ? "true" : "false";
    case Type::list: {
      std::string out = "[";
      for (std::size_t i = 0; i < list.size() && i < 4; ++i)
        out += (i == 0 ? "" : ", ") + list[i].shown();
      return out + (list.size() > 4 ? ", ...]" : "]");
    }
    case Type::other:
      return "a table or a date";
  }
  return "an unknown value";
}

const TomlEntry* TomlDocument::find(std::string_view path) const {
  const auto at = std::find_if(entries.begin(), entries.end(),
                               [&](const TomlEntry& entry) { return entry.path == path; });
  return at == entries.end() ? nullptr : &*at;
}

std::size_t TomlDocument::count(const std::string& array) const {
  std::size_t out = 0;
  while (sections.contains(array + "[" + std::to_string(out) + "]")) ++out;
  return out;
}

Result<TomlDocument> read_toml(std::string_view text, const std::string& file_name,
                               std::size_t* error_line) {
  if (text.size() > kJobFileBytesMax)
    return invalid_argument(file_name + ":1: a job file has at most " +
                            std::to_string(kJobFileBytesMax) + " bytes");
  TomlDocument out;
  try {
    flatten(toml::parse(text, file_name), "", out);
  } catch (const toml::parse_error& error) {
    if (error_line != nullptr) *error_line = error.source().begin.line;
    return invalid_argument(file_name + ":" + std::to_string(error.source().begin.line) +
                            ": not valid TOML: " + std::string(error.description()));
  }
  std::stable_sort(out.entries.begin(), out.entries.end(),
                   [](const TomlEntry& a, const TomlEntry& b) { return a.line < b.line; });
  return out;
}

}  // namespace fedmesh::protocol
