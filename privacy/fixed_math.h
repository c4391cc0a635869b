// Exponentials and logarithms in integers: the same bits on every machine, with stated error
// bounds. For noise thresholds and privacy accounting, where libm would differ between platforms.
#pragma once

#include <array>
#include <compare>
#include <cstdint>

namespace fedmesh::privacy {

using Uint128 = unsigned __int128;

// A number in [0, 2^64) with 192 fractional bits. Immutable value. Overflow, a negative difference
// and division by zero are defects of the caller (checked).
class Fixed {
 public:
  constexpr Fixed() = default;
  static constexpr Fixed integer(std::uint64_t value) {
    Fixed out;
    out.limbs_[3] = value;
    return out;
  }
  // numerator / denominator, rounded down to a multiple of 2^-192.
  static Fixed ratio(Uint128 numerator, Uint128 denominator);

  Fixed operator+(const Fixed& other) const;
  Fixed operator-(const Fixed& other) const;
  Fixed operator*(const Fixed& other) const;     // rounded down
  Fixed operator*(std::uint64_t factor) const;   // exact
  Fixed operator/(const Fixed& divisor) const;   // rounded down
  Fixed operator/(std::uint64_t divisor) const;  // rounded down
  friend constexpr bool operator==(const Fixed&, const Fixed&) = default;
  std::strong_ordering operator<=>(const Fixed& other) const;

  bool is_zero() const { return *this == Fixed(); }
  std::uint64_t integer_part() const { return limbs_[3]; }
  Uint128 fraction_128() const;  // the first 128 fractional bits, rounded down
  Uint128 units_64() const;      // in units of 2^-64, rounded down

 private:
  friend Fixed minus_log(const Fixed& y);
  Fixed shifted_left(unsigned bits) const;  // drops what leaves at the top
  unsigned leading_zeros() const;

  std::array<std::uint64_t, 4> limbs_{};  // little-endian
};

// e^-x. |error| < 2^-160.
Fixed exp_minus(const Fixed& x);

// -ln y for 0 < y <= 1 (checked). |error| < 2^-160 beyond that of y itself.
Fixed minus_log(const Fixed& y);

}  // namespace fedmesh::privacy
