#include "privacy/noise.h"

#include <algorithm>
#include <array>
#include <bit>
#include <limits>
#include <string>

#include "base/crypto/aead.h"
#include "base/crypto/keys.h"

namespace fedmesh::privacy {
namespace {

constexpr std::uint64_t kNanoPerUnit = 1'000'000'000;
constexpr std::uint64_t kInverseScaleMax = 64;  // 1/b
constexpr unsigned kScaleBitsMax = 48;          // b <= 2^48
constexpr std::uint64_t kTailExponent = 90;     // exp(-90) < 2^-129
constexpr std::size_t kLanes = 64;

using Lanes = std::array<std::uint64_t, kLanes>;

// The ChaCha20 keystream under the seed as 64-bit words. Wiped, because the noise must stay secret.
class WordStream {
 public:
  explicit WordStream(const Digest& seed) : seed_(seed) {}
  ~WordStream() {
    crypto::wipe(bytes());
    crypto::wipe(seed_.bytes);
  }
  WordStream(const WordStream&) = delete;
  WordStream& operator=(const WordStream&) = delete;

  std::uint64_t next() {
    if (used_ == words_.size()) refill();
    return words_[used_++];
  }

 private:
  void refill() {
    crypto::chacha20_stream(seed_.view(), 0, block_, bytes());
    block_ += sizeof(words_) / 64;
    used_ = 0;
    if constexpr (std::endian::native != std::endian::little)
      for (auto& word : words_) word = __builtin_bswap64(word);
  }
  MutableByteView bytes() {
    return {reinterpret_cast<std::uint8_t*>(words_.data()), sizeof(words_)};
  }

  Digest seed_;
  std::array<std::uint64_t, 1024> words_{};
  std::uint64_t block_ = 0;
  std::size_t used_ = 1024;
};

// Each of the 64 bits is set with probability threshold · 2^-128: lane by lane, a uniform 128-bit
// number is compared with the threshold from the top, until the two differ.
std::uint64_t bernoulli_lanes(Uint128 threshold, WordStream& words) {
  std::uint64_t below = 0, undecided = ~std::uint64_t{0};
  for (unsigned bit = 128; bit-- > 0 && undecided != 0;) {
    const std::uint64_t random = words.next();
    const std::uint64_t wanted = ~(static_cast<std::uint64_t>(threshold >> bit) & 1) + 1;
    below |= undecided & wanted & ~random;
    undecided &= ~(wanted ^ random);
  }
  return below;
}

// Bit j of word i becomes bit i of word j (Hacker's Delight, section 7-3, for 64 bits).
void transpose(Lanes& m) {
  std::uint64_t mask = 0x00000000ffffffff;
  for (unsigned width = 32; width != 0; width >>= 1, mask ^= mask << width)
    for (unsigned k = 0; k < kLanes; k = ((k | width) + 1) & ~width) {
      const std::uint64_t swap = ((m[k] >> width) ^ m[k | width]) & mask;
      m[k] ^= swap << width;
      m[k | width] ^= swap;
    }
}

std::int64_t saturating_add(std::int64_t a, std::int64_t b) {
  std::int64_t sum = 0;
  if (!__builtin_add_overflow(a, b, &sum)) return sum;
  return b > 0 ? std::numeric_limits<std::int64_t>::max()
               : std::numeric_limits<std::int64_t>::min();
}

// 64 samples.
void draw(Uint128 zero, std::span<const Uint128> bits, WordStream& words, Lanes& out) {
  const std::uint64_t zeros = bernoulli_lanes(zero, words);
  const std::uint64_t negative = words.next();
  out.fill(0);
  for (std::size_t i = 0; i < bits.size(); ++i) out[i] = bernoulli_lanes(bits[i], words);
  transpose(out);
  for (std::size_t lane = 0; lane < kLanes; ++lane) {
    const std::uint64_t keep = (zeros >> lane & 1) - 1;      // all ones unless the value is 0
    const std::uint64_t sign = ~(negative >> lane & 1) + 1;  // all ones if it is negative
    out[lane] = (((out[lane] + 1) & keep) ^ sign) - sign;
  }
}

Uint128 to_threshold(const Fixed& probability) {
  FM_CHECK(probability.integer_part() == 0, "a probability below 1");
  return probability.fraction_128();
}

}  // namespace

Result<DiscreteLaplace> DiscreteLaplace::create(LaplaceScale scale) {
  if (scale.sensitivity_granules == 0 || scale.epsilon_nano <= 0)
    return invalid_argument("Laplace noise needs a sensitivity and an epsilon above zero");
  const auto epsilon = static_cast<Uint128>(scale.epsilon_nano);
  const Uint128 sensitivity = static_cast<Uint128>(scale.sensitivity_granules) * kNanoPerUnit;
  if (epsilon > sensitivity * kInverseScaleMax)
    return invalid_argument(
        "the noise scale is below 1/64 granule: lower epsilon or use more fraction bits");
  if (sensitivity > epsilon << kScaleBitsMax)
    return invalid_argument(
        "the noise scale is above 2^48 granules: raise epsilon or use fewer fraction bits");
  const Fixed inverse = Fixed::ratio(epsilon, sensitivity);
  const Fixed one = Fixed::integer(1);
  DiscreteLaplace out;
  const Fixed q = exp_minus(inverse);
  out.zero_ = to_threshold((one - q) / (one + q));
  // The bits from 2^i on are left out once P(G >= 2^i) = exp(-2^i / b) is negligible.
  Fixed exponent = inverse;
  while (exponent.integer_part() < kTailExponent) {
    const Fixed odds = exp_minus(exponent);
    out.bits_.push_back(to_threshold(odds / (one + odds)));
    exponent = exponent + exponent;
  }
  FM_CHECK(out.bits_.size() <= 56, "b <= 2^48 and 90 < 2^7 need at most 55 bits");
  return out;
}

void DiscreteLaplace::add(std::span<std::int64_t> values, const Digest& seed) const {
  WordStream words(seed);
  Lanes lanes{};
  for (std::size_t at = 0; at < values.size(); at += kLanes) {
    draw(zero_, bits_, words, lanes);
    const std::size_t count = std::min(kLanes, values.size() - at);
    for (std::size_t i = 0; i < count; ++i)
      values[at + i] = saturating_add(values[at + i], static_cast<std::int64_t>(lanes[i]));
  }
  crypto::wipe({reinterpret_cast<std::uint8_t*>(lanes.data()), sizeof(lanes)});
}

std::vector<std::int64_t> DiscreteLaplace::sample(std::size_t count, const Digest& seed) const {
  std::vector<std::int64_t> out(count, 0);
  add(out, seed);
  return out;
}

}  // namespace fedmesh::privacy
