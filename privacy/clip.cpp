#include "privacy/clip.h"

#include <algorithm>
#include <limits>

#include "base/check.h"

namespace fedmesh::privacy {
namespace {

template <class Int>
unsigned __int128 norm_of(std::span<const Int> granules) {
  unsigned __int128 sum = 0;
  for (const std::int64_t q : granules)
    sum += q < 0 ? std::uint64_t{0} - static_cast<std::uint64_t>(q) : static_cast<std::uint64_t>(q);
  return sum;
}

template <class Int>
void clip(std::span<Int> granules, std::int64_t bound) {
  FM_CHECK(bound >= 0, "a clipping bound was validated with the job");
  const unsigned __int128 sum = norm_of<Int>(granules);
  if (sum <= static_cast<unsigned __int128>(bound)) return;
  const auto divisor = static_cast<__int128>(sum);  // below 2^127: fewer than 2^63 elements
  for (Int& q : granules)
    q = static_cast<Int>(static_cast<__int128>(q) * bound / divisor);  // truncates towards zero
}

}  // namespace

void clip_l1(std::span<std::int64_t> granules, std::int64_t bound) { clip(granules, bound); }
void clip_l1(std::span<std::int32_t> granules, std::int64_t bound) { clip(granules, bound); }

unsigned __int128 l1_norm(std::span<const std::int64_t> granules) { return norm_of(granules); }
unsigned __int128 l1_norm(std::span<const std::int32_t> granules) { return norm_of(granules); }

std::int32_t saturate(std::int64_t granules) {
  return static_cast<std::int32_t>(
      std::clamp<std::int64_t>(granules, std::numeric_limits<std::int32_t>::min(),
                               std::numeric_limits<std::int32_t>::max()));
}

std::vector<std::int32_t> saturate(std::span<const std::int64_t> granules) {
  std::vector<std::int32_t> out(granules.size());
  std::transform(granules.begin(), granules.end(), out.begin(),
                 [](std::int64_t q) { return saturate(q); });
  return out;
}

}  // namespace fedmesh::privacy
