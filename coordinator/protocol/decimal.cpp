#include "coordinator/protocol/decimal.h"

#include <charconv>
#include <cmath>

namespace fedmesh::protocol {

std::string decimal_text(std::int64_t value, int decimals) {
  const auto magnitude =
      value < 0 ? 0 - static_cast<std::uint64_t>(value) : static_cast<std::uint64_t>(value);
  std::string digits = std::to_string(magnitude);
  const auto places = static_cast<std::size_t>(decimals);
  if (digits.size() <= places) digits.insert(0, places + 1 - digits.size(), '0');
  std::string part = digits.substr(digits.size() - places);
  digits.resize(digits.size() - places);
  while (!part.empty() && part.back() == '0') part.pop_back();
  return (value < 0 ? "-" : "") + digits + (part.empty() ? "" : "." + part);
}

std::optional<std::int64_t> exact_decimal(double value, int decimals) {
  double grid = 1;
  for (int i = 0; i < decimals; ++i) grid *= 10;
  const double scaled = value * grid;
  // Beyond 2^53 neighbouring decimals share one double: the text would be ambiguous.
  if (!std::isfinite(scaled) || std::fabs(scaled) > 9007199254740992.0) return std::nullopt;
  const auto nearest = static_cast<std::int64_t>(std::llround(scaled));
  const std::string text = decimal_text(nearest, decimals);
  double back = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), back);
  if (error != std::errc() || end != text.data() + text.size() || back != value)
    return std::nullopt;
  return nearest;
}

}  // namespace fedmesh::protocol
