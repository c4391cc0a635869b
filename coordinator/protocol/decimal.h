// Decimal numbers as integers with a fixed number of decimals, so that 0.09 is 90'000'000 nano and
// nothing else.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

namespace fedmesh::protocol {

inline constexpr int kNanoDecimals = 9;
inline constexpr int kMicroDecimals = 6;
inline constexpr int kPicoDecimals = 12;

// 90'000'000 with 9 decimals is "0.09". Trailing zeros are left out. decimals is 0 to 18.
std::string decimal_text(std::int64_t value, int decimals);

// The multiple of 10^-decimals whose text reads back as exactly `value`; nothing where there is
// none (finer than the grid, not finite, or too large to be told apart). decimals is 0 to 12.
std::optional<std::int64_t> exact_decimal(double value, int decimals);

}  // namespace fedmesh::protocol
