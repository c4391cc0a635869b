#include "coordinator/cli/report_text.h"

#include <cstdio>

namespace fedmesh::cli {
namespace {

constexpr std::string_view kReplacement = "\xEF\xBF\xBD";  // U+FFFD

struct CodePoint {
  std::uint32_t value = 0;
  std::size_t bytes = 0;  // 0: not UTF-8 here
};

CodePoint decode_at(std::string_view text, std::size_t at) {
  const auto byte = [&](std::size_t i) { return static_cast<unsigned char>(text[i]); };
  const unsigned first = byte(at);
  if (first < 0x80) return {first, 1};
  const std::size_t length = first >= 0xF0 ? 4 : first >= 0xE0 ? 3 : first >= 0xC0 ? 2 : 0;
  if (length == 0 || first > 0xF4 || at + length > text.size()) return {};
  static constexpr std::uint32_t kLeast[] = {0, 0, 0x80, 0x800, 0x10000};
  std::uint32_t value = first & (0xFFu >> (length + 1));
  for (std::size_t i = 1; i < length; ++i) {
    if ((byte(at + i) & 0xC0) != 0x80) return {};
    value = (value << 6) | (byte(at + i) & 0x3Fu);
  }
  const bool surrogate = value >= 0xD800 && value <= 0xDFFF;
  if (value < kLeast[length] || value > 0x10FFFF || surrogate) return {};
  return {value, length};
}

bool is_control(std::uint32_t value) { return value < 0x20 || (value >= 0x7F && value < 0xA0); }

template <class Replace>
std::string mapped(std::string_view text, const Replace& replacement_for) {
  std::string out;
  for (std::size_t at = 0; at < text.size();) {
    const CodePoint point = decode_at(text, at);
    const std::size_t bytes = point.bytes == 0 ? 1 : point.bytes;
    const std::string_view other = replacement_for(point);
    out += other.empty() ? text.substr(at, bytes) : other;
    at += bytes;
  }
  return out;
}

template <class... Values>
std::string formatted(const char* format, Values... values) {
  char out[64];
  std::snprintf(out, sizeof(out), format, values...);
  return out;
}

}  // namespace

std::string micro_text(std::int64_t micro) {
  return formatted("%.4f", static_cast<double>(micro) / 1e6);
}

std::string percent_text(std::int64_t micro) {
  return formatted("%.2f %%", static_cast<double>(micro) / 1e4);
}

std::string bytes_text(std::uint64_t bytes) {
  static constexpr const char* kUnits[] = {"B", "KB", "MB", "GB", "TB", "PB", "EB"};
  double value = static_cast<double>(bytes);
  std::size_t unit = 0;
  while (value >= 999.5 && unit < 6) {
    value /= 1000;
    ++unit;
  }
  return formatted(unit == 0 || value >= 99.95 ? "%.0f %s" : "%.1f %s", value, kUnits[unit]);
}

std::string traffic_text(const RoundRow& row, const char* none) {
  if (!row.bytes_up && !row.bytes_down) return none;
  const auto one = [&](const std::optional<std::uint64_t>& bytes) {
    return bytes ? bytes_text(*bytes) : std::string(none);
  };
  return one(row.bytes_up) + " / " + one(row.bytes_down);
}

std::string seconds_text(std::int64_t milliseconds) {
  return formatted("%.2f", static_cast<double>(milliseconds) / 1000);
}

std::string for_terminal(std::string_view text) {
  return mapped(text, [](const CodePoint& point) -> std::string_view {
    // Directional marks reorder a line as surely as an escape sequence does.
    const bool directional = (point.value >= 0x200E && point.value <= 0x200F) ||
                             (point.value >= 0x2028 && point.value <= 0x202E) ||
                             (point.value >= 0x2066 && point.value <= 0x2069);
    return point.bytes == 0 || is_control(point.value) || directional ? "?" : "";
  });
}

std::size_t terminal_width(std::string_view text) {
  std::size_t out = 0;
  for (const char c : text) out += (static_cast<unsigned char>(c) & 0xC0) != 0x80 ? 1 : 0;
  return out;
}

std::string repaired_utf8(std::string_view text) {
  return mapped(text, [](const CodePoint& point) -> std::string_view {
    const bool white = point.value == '\t' || point.value == '\n' || point.value == '\r';
    const bool forbidden =
        (point.value < 0x20 && !white) || point.value == 0xFFFE || point.value == 0xFFFF;
    return point.bytes == 0 || forbidden ? kReplacement : "";
  });
}

}  // namespace fedmesh::cli
