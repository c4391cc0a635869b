#include "tests/sim/simulation_text.h"

#include <algorithm>

#include "coordinator/protocol/job_file_values.h"

namespace fedmesh::sim {
namespace {

std::string_view trimmed(std::string_view text) {
  const auto first = text.find_first_not_of(" \t\r");
  if (first == std::string_view::npos) return {};
  return text.substr(first, text.find_last_not_of(" \t\r") - first + 1);
}

}  // namespace

std::string filled(std::string_view text, std::string_view placeholder, std::uint64_t number) {
  std::string out(text);
  const std::string value = std::to_string(number);
  for (std::size_t at = out.find(placeholder); at != std::string::npos;
       at = out.find(placeholder, at + value.size()))
    out.replace(at, placeholder.size(), value);
  return out;
}

Result<std::string> with_setting(std::string_view job_file, std::string_view setting) {
  const std::size_t equals = setting.find('=');
  const std::string_view path = trimmed(setting.substr(0, equals));
  const std::size_t dot = path.find('.');
  const auto is_name = [](std::string_view name) {
    return !name.empty() && name.find_first_not_of("abcdefghijklmnopqrstuvwxyz0123456789_") ==
                                std::string_view::npos;
  };
  if (equals == std::string_view::npos || dot == std::string_view::npos ||
      !is_name(path.substr(0, dot)) || !is_name(path.substr(dot + 1)))
    return invalid_argument("write SECTION.KEY=VALUE, such as privacy.epsilon_total=0.5, not '" +
                            protocol::printable(setting) + "'");
  const std::string section = "[" + std::string(path.substr(0, dot)) + "]";
  const std::string_view key = path.substr(dot + 1);
  std::string value(trimmed(setting.substr(equals + 1)));
  if (!value.empty() && value.find_first_of("\n\"") == std::string::npos &&
      !protocol::read_toml("value = " + value, "value").ok())
    value = '"' + value + '"';
  const std::string line = value.empty() ? "" : std::string(key) + " = " + value + "\n";
  std::string out;
  bool inside = false, done = false;
  for (std::string_view rest = job_file; !rest.empty();) {
    const std::size_t end = std::min(rest.find('\n'), rest.size() - 1) + 1;
    const std::string_view row = rest.substr(0, end);
    const std::string_view content = trimmed(row.substr(0, row.find_first_of("#\n")));
    rest.remove_prefix(end);
    if (content.starts_with("[")) {
      if (inside && !done) out += line;
      done = done || inside;
      inside = content == section;
    }
    const bool is_key = inside && trimmed(content.substr(0, content.find('='))) == key;
    if (!is_key) {
      out += row;
    } else if (!done) {
      out += line;
      done = true;
    }
  }
  if (!done && !line.empty()) out += (inside ? "\n" : "\n" + section + "\n") + line;
  return out;
}

}  // namespace fedmesh::sim
