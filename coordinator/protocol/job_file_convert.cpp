#include <algorithm>
#include <charconv>
#include <limits>

#include "coordinator/protocol/decimal.h"
#include "coordinator/protocol/job_file.h"
#include "coordinator/protocol/job_file_keys.h"

namespace fedmesh::protocol {
namespace {

using Type = TomlValue::Type;

constexpr std::size_t kTextBytesMax = 4096;
constexpr std::size_t kListMax = 256;

std::string joined(const std::vector<std::string>& parts) {
  std::string out;
  for (const auto& part : parts) out += (out.empty() ? "" : ", ") + part;
  return out;
}

std::string range_of(const Key& key) {
  const std::string minimum = decimal_text(key.minimum, key.decimals);
  if (key.minimum == key.maximum) return minimum;
  if (key.maximum == std::numeric_limits<std::int64_t>::max()) return "at least " + minimum;
  return minimum + " to " + decimal_text(key.maximum, key.decimals);
}

std::string shortest_duration(std::int64_t ms) {
  if (ms % 86'400'000 == 0) return std::to_string(ms / 86'400'000) + "d";
  return std::to_string(ms) + "ms";
}

Error refused(const Key& key, const TomlValue& value) {
  return invalid_argument("got " + value.shown() + ", allowed: " + key.allowed());
}

Error not_yet(const Key& key, const TomlValue& value) {
  return invalid_argument(value.shown() +
                          " is not supported by this version; allowed: " + key.allowed());
}

Result<Setting> number(const Key& key, const TomlValue& value, std::optional<std::int64_t> n) {
  if (!n) return refused(key, value);
  if (*n < key.minimum || *n > key.maximum)
    return key.later.empty() ? refused(key, value) : not_yet(key, value);
  Setting out;
  out.number = *n;
  return out;
}

std::optional<std::int64_t> decimal(const Key& key, const TomlValue& value) {
  if (value.type == Type::decimal) return exact_decimal(value.decimal, key.decimals);
  if (value.type != Type::integer) return std::nullopt;
  std::int64_t out = value.integer;
  for (int i = 0; i < key.decimals; ++i)
    if (__builtin_mul_overflow(out, 10, &out)) return std::nullopt;
  return out;
}

std::optional<std::int64_t> duration(const std::string& text) {
  struct Unit {
    std::string_view name;
    std::int64_t ms;
  };
  static constexpr Unit kUnits[] = {
      {"ms", 1}, {"s", 1000}, {"m", 60'000}, {"h", 3'600'000}, {"d", 86'400'000}};
  std::int64_t count = 0;
  const char* const end = text.data() + text.size();
  const auto [rest, error] = std::from_chars(text.data(), end, count);
  if (error != std::errc() || count < 0) return std::nullopt;
  const std::string_view suffix(rest, static_cast<std::size_t>(end - rest));
  for (const Unit& unit : kUnits) {
    std::int64_t out = 0;
    if (suffix == unit.name)
      return __builtin_mul_overflow(count, unit.ms, &out) ? std::nullopt : std::optional(out);
  }
  return std::nullopt;
}

Result<Setting> choice(const Key& key, const TomlValue& value) {
  const auto among = [&](const std::vector<std::string>& names) {
    return std::find(names.begin(), names.end(), value.text) != names.end();
  };
  if (value.type != Type::text) return refused(key, value);
  if (among(key.later)) return not_yet(key, value);
  if (!among(key.choices)) return refused(key, value);
  Setting out;
  out.text = value.text;
  return out;
}

Result<Setting> list(const Key& key, const TomlValue& value) {
  if (value.type != Type::list || value.list.empty() || value.list.size() > kListMax)
    return refused(key, value);
  Setting out;
  for (const TomlValue& element : value.list) {
    if (key.type == KeyType::integers) {
      if (element.type != Type::integer || element.integer < key.minimum ||
          element.integer > key.maximum)
        return refused(key, value);
      out.numbers.push_back(element.integer);
    } else if (element.type == Type::text) {
      out.texts.push_back(element.text);
    } else if (element.type == Type::integer || element.type == Type::decimal) {
      out.texts.push_back(element.shown());
    } else {
      return refused(key, value);
    }
  }
  return out;
}

std::string escaped_cell(std::string text) {
  for (std::size_t at = 0; (at = text.find('|', at)) != std::string::npos; at += 2)
    text.insert(at, 1, '\\');
  return text;
}

std::string type_name(KeyType type) {
  switch (type) {
    case KeyType::text:
    case KeyType::choice:
      return "text";
    case KeyType::integer:
      return "integer";
    case KeyType::decimal:
      return "decimal";
    case KeyType::boolean:
      return "boolean";
    case KeyType::duration:
      return "duration";
    case KeyType::integers:
      return "list of integers";
    case KeyType::levels:
      return "list of texts or numbers";
    case KeyType::name_or_place:
      return "text or integer";
  }
  return "unknown";
}

std::string default_of(const Key& key) {
  if (key.required) return "**required**";
  if (!key.fallback.empty()) return "`" + key.fallback + "`";
  return key.otherwise.empty() ? "none" : key.otherwise;
}

std::string row(const Key& key) {
  std::string allowed = key.allowed();
  if (!key.later.empty() && !key.unsupported)
    allowed += "; not in this version: " + joined(key.later);
  return "| `" + key.path + "` | " + type_name(key.type) + " | " + escaped_cell(default_of(key)) +
         " | " + escaped_cell(allowed) + " | " + escaped_cell(key.meaning) + " |\n";
}

}  // namespace

std::string Key::allowed() const {
  if (unsupported) return "not in this version";
  switch (type) {
    case KeyType::text:
      return "a text of 1 to " + std::to_string(kTextBytesMax) + " bytes";
    case KeyType::choice:
      return joined(choices);
    case KeyType::integer:
      return "an integer, " + range_of(*this);
    case KeyType::decimal:
      return minimum == maximum ? range_of(*this)
                                : "a number with at most " + std::to_string(decimals) +
                                      " decimals, " + range_of(*this);
    case KeyType::boolean:
      return "true, false";
    case KeyType::duration:
      return "a text like \"500ms\", \"60s\", \"2m\", \"1h\" or \"1d\", " +
             shortest_duration(minimum) + " to " + shortest_duration(maximum);
    case KeyType::integers:
      return "a list of integers, each " + range_of(*this);
    case KeyType::levels:
      return "a list of texts or numbers";
    case KeyType::name_or_place:
      return "a column's name, or its position (" + range_of(*this) + ")";
  }
  return "";
}

Result<Setting> convert(const Key& key, const TomlValue& value) {
  Setting out;
  switch (key.type) {
    case KeyType::text:
      if (value.type != Type::text || value.text.empty() || value.text.size() > kTextBytesMax)
        return refused(key, value);
      out.text = value.text;
      return out;
    case KeyType::choice:
      return choice(key, value);
    case KeyType::integer:
      return number(key, value,
                    value.type == Type::integer ? std::optional(value.integer) : std::nullopt);
    case KeyType::decimal:
      return number(key, value, decimal(key, value));
    case KeyType::boolean:
      if (value.type != Type::boolean) return refused(key, value);
      out.flag = value.boolean;
      return out;
    case KeyType::duration:
      return number(key, value, value.type == Type::text ? duration(value.text) : std::nullopt);
    case KeyType::integers:
    case KeyType::levels:
      return list(key, value);
    case KeyType::name_or_place:
      if (value.type == Type::integer) return number(key, value, value.integer);
      if (value.type != Type::text || value.text.empty()) return refused(key, value);
      out.text = value.text;
      return out;
  }
  return refused(key, value);
}

std::string job_file_reference() {
  std::string out =
      "# The keys of a job file\n\n"
      "Generated from the table in `job_file_keys.cpp`; a test keeps the two equal. A job file is\n"
      "TOML: `privacy.unit` is the key `unit` in the section `[privacy]`, `data.columns[].name` "
      "the\n"
      "key `name` of each `[[data.columns]]`. Decimals are taken exactly: a number that is finer\n"
      "than its grid is refused.\n";
  std::string section = "none yet";
  for (const Key& key : job_file_keys()) {
    const std::size_t dot = key.path.rfind('.');
    const std::string here = dot == std::string::npos ? "" : key.path.substr(0, dot);
    if (here != section) {
      const std::string title = here.empty() ? "Top level"
                                : here == kColumns
                                    ? "`[[data.columns]]`: one input column of a csv file"
                                    : "`[" + here + "]`";
      out += "\n## " + title + "\n\n| key | type | default | allowed | meaning |\n" +
             "| --- | --- | --- | --- | --- |\n";
      section = here;
    }
    out += row(key);
  }
  return out;
}

}  // namespace fedmesh::protocol
