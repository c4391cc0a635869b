#include "privacy/fixed_math.h"

#include <bit>

#include "base/check.h"

namespace fedmesh::privacy {
namespace {

constexpr std::size_t kLimbs = 4;
constexpr std::size_t kFractionLimbs = 3;
constexpr unsigned kBits = 64 * kLimbs;

bool at_least(const std::array<std::uint64_t, kLimbs + 1>& value,
              const std::array<std::uint64_t, kLimbs>& bound) {
  if (value[kLimbs] != 0) return true;
  for (std::size_t i = kLimbs; i-- > 0;)
    if (value[i] != bound[i]) return value[i] > bound[i];
  return true;
}

// Long division, one bit at a time: quotient = numerator / divisor, rounded down. Returns false if
// the quotient has more than kBits bits.
bool divide(const std::array<std::uint64_t, kLimbs + kFractionLimbs>& numerator,
            const std::array<std::uint64_t, kLimbs>& divisor,
            std::array<std::uint64_t, kLimbs>& quotient) {
  std::array<std::uint64_t, kLimbs + 1> rest{};  // < 2 · divisor, so one limb more suffices
  quotient = {};
  std::size_t bits = 64 * numerator.size();
  while (bits > 0 && numerator[(bits - 1) / 64] == 0) bits -= 64;
  for (std::size_t bit = bits; bit-- > 0;) {
    for (std::size_t i = kLimbs; i > 0; --i) rest[i] = rest[i] << 1 | rest[i - 1] >> 63;
    rest[0] = rest[0] << 1 | (numerator[bit / 64] >> (bit % 64) & 1);
    if (!at_least(rest, divisor)) continue;
    std::uint64_t borrow = 0;
    for (std::size_t i = 0; i < kLimbs; ++i) {
      const Uint128 difference = static_cast<Uint128>(rest[i]) - divisor[i] - borrow;
      rest[i] = static_cast<std::uint64_t>(difference);
      borrow = static_cast<std::uint64_t>(difference >> 64) & 1;
    }
    rest[kLimbs] -= borrow;
    if (bit >= kBits) return false;
    quotient[bit / 64] |= std::uint64_t{1} << (bit % 64);
  }
  return true;
}

}  // namespace

Fixed Fixed::ratio(Uint128 numerator, Uint128 denominator) {
  FM_CHECK(denominator > 0, "division by zero");
  Fixed out;
  const bool fits = divide({0, 0, 0, static_cast<std::uint64_t>(numerator),
                            static_cast<std::uint64_t>(numerator >> 64), 0, 0},
                           {static_cast<std::uint64_t>(denominator),
                            static_cast<std::uint64_t>(denominator >> 64), 0, 0},
                           out.limbs_);
  FM_CHECK(fits, "a ratio of 2^64 or more");
  return out;
}

Fixed Fixed::operator+(const Fixed& other) const {
  Fixed out;
  std::uint64_t carry = 0;
  for (std::size_t i = 0; i < kLimbs; ++i) {
    const Uint128 sum = static_cast<Uint128>(limbs_[i]) + other.limbs_[i] + carry;
    out.limbs_[i] = static_cast<std::uint64_t>(sum);
    carry = static_cast<std::uint64_t>(sum >> 64);
  }
  FM_CHECK(carry == 0, "a sum of 2^64 or more");
  return out;
}

Fixed Fixed::operator-(const Fixed& other) const {
  Fixed out;
  std::uint64_t borrow = 0;
  for (std::size_t i = 0; i < kLimbs; ++i) {
    const Uint128 difference = static_cast<Uint128>(limbs_[i]) - other.limbs_[i] - borrow;
    out.limbs_[i] = static_cast<std::uint64_t>(difference);
    borrow = static_cast<std::uint64_t>(difference >> 64) & 1;
  }
  FM_CHECK(borrow == 0, "a negative difference");
  return out;
}

Fixed Fixed::operator*(const Fixed& other) const {
  std::array<std::uint64_t, 2 * kLimbs> product{};
  for (std::size_t i = 0; i < kLimbs; ++i) {
    std::uint64_t carry = 0;
    for (std::size_t j = 0; j < kLimbs; ++j) {
      const Uint128 term =
          static_cast<Uint128>(limbs_[i]) * other.limbs_[j] + product[i + j] + carry;
      product[i + j] = static_cast<std::uint64_t>(term);
      carry = static_cast<std::uint64_t>(term >> 64);
    }
    product[i + kLimbs] = carry;
  }
  FM_CHECK(product[2 * kLimbs - 1] == 0, "a product of 2^64 or more");
  Fixed out;
  for (std::size_t i = 0; i < kLimbs; ++i) out.limbs_[i] = product[i + kFractionLimbs];
  return out;
}

Fixed Fixed::operator*(std::uint64_t factor) const {
  Fixed out;
  std::uint64_t carry = 0;
  for (std::size_t i = 0; i < kLimbs; ++i) {
    const Uint128 term = static_cast<Uint128>(limbs_[i]) * factor + carry;
    out.limbs_[i] = static_cast<std::uint64_t>(term);
    carry = static_cast<std::uint64_t>(term >> 64);
  }
  FM_CHECK(carry == 0, "a product of 2^64 or more");
  return out;
}

Fixed Fixed::operator/(const Fixed& divisor) const {
  FM_CHECK(!divisor.is_zero(), "division by zero");
  Fixed out;
  const bool fits =
      divide({0, 0, 0, limbs_[0], limbs_[1], limbs_[2], limbs_[3]}, divisor.limbs_, out.limbs_);
  FM_CHECK(fits, "a quotient of 2^64 or more");
  return out;
}

Fixed Fixed::operator/(std::uint64_t divisor) const {
  FM_CHECK(divisor > 0, "division by zero");
  Fixed out;
  Uint128 rest = 0;
  for (std::size_t i = kLimbs; i-- > 0;) {
    rest = rest << 64 | limbs_[i];
    out.limbs_[i] = static_cast<std::uint64_t>(rest / divisor);
    rest %= divisor;
  }
  return out;
}

std::strong_ordering Fixed::operator<=>(const Fixed& other) const {
  for (std::size_t i = kLimbs; i-- > 0;)
    if (limbs_[i] != other.limbs_[i]) return limbs_[i] <=> other.limbs_[i];
  return std::strong_ordering::equal;
}

Uint128 Fixed::fraction_128() const { return static_cast<Uint128>(limbs_[2]) << 64 | limbs_[1]; }
Uint128 Fixed::units_64() const { return static_cast<Uint128>(limbs_[3]) << 64 | limbs_[2]; }

Fixed Fixed::shifted_left(unsigned bits) const {
  Fixed out;
  for (std::size_t i = kLimbs; i-- > bits / 64;) {
    const std::size_t from = i - bits / 64;
    out.limbs_[i] = limbs_[from] << (bits % 64);
    if (bits % 64 > 0 && from > 0) out.limbs_[i] |= limbs_[from - 1] >> (64 - bits % 64);
  }
  return out;
}

unsigned Fixed::leading_zeros() const {
  for (std::size_t i = kLimbs; i-- > 0;)
    if (limbs_[i] != 0)
      return static_cast<unsigned>((kLimbs - 1 - i) * 64) +
             static_cast<unsigned>(std::countl_zero(limbs_[i]));
  return kBits;
}

// Taylor's series at x / 2^halvings < 2^-8, then as many squarings. The series ends within 30
// terms of error 2^-191 each; at most 16 squarings double that each time and add 2^-192: < 2^-169.
Fixed exp_minus(const Fixed& x) {
  if (x.integer_part() >= 140) return {};  // e^-140 < 2^-200
  const unsigned halvings = 8 + static_cast<unsigned>(std::bit_width(x.integer_part()));
  const Fixed small = x / (std::uint64_t{1} << halvings);
  Fixed positive = Fixed::integer(1), negative, term = Fixed::integer(1);
  for (std::uint64_t n = 1; !term.is_zero(); ++n) {
    term = term * small / n;
    (n % 2 == 0 ? positive : negative) = (n % 2 == 0 ? positive : negative) + term;
  }
  Fixed out = positive - negative;
  for (unsigned i = 0; i < halvings; ++i) out = out * out;
  return out;
}

namespace {

// 2 · artanh(z) for z <= 1/3: the series in z^(2n+1) / (2n+1), at most 61 terms.
Fixed twice_artanh(const Fixed& z) {
  const Fixed square = z * z;
  Fixed sum, power = z;
  for (std::uint64_t n = 1; !power.is_zero(); n += 2) {
    sum = sum + power / n;
    power = power * square;
  }
  return sum + sum;
}

}  // namespace

// y = m · 2^-shift with m in [1/2, 1]; -ln y = shift · ln 2 + 2 artanh((1 - m) / (1 + m)). The
// two series err by less than 2^-184 each, the first times at most 192.
Fixed minus_log(const Fixed& y) {
  FM_CHECK(!y.is_zero() && y <= Fixed::integer(1), "a logarithm outside (0, 1]");
  static const Fixed ln2 = twice_artanh(Fixed::ratio(1, 3));
  const Fixed one = Fixed::integer(1);
  if (y == one) return {};
  const unsigned shift = y.leading_zeros() - 64;  // the top fractional bit becomes set
  const Fixed m = y.shifted_left(shift);
  return ln2 * shift + twice_artanh((one - m) / (one + m));
}

}  // namespace fedmesh::privacy
