// L1 clipping of integers. It runs after quantisation, so its bound is the exact L1 sensitivity of
// a sum under zero-out adjacency, whatever the number of coordinates: no rounding follows it.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

namespace fedmesh::privacy {

// Afterwards Σ|q_j| <= bound. If it was already, nothing changes; otherwise every q_j becomes
// trunc(q_j · bound / Σ|q_j|), computed exactly: truncation can only lower the sum. bound >= 0
// (checked).
void clip_l1(std::span<std::int64_t> granules, std::int64_t bound);
void clip_l1(std::span<std::int32_t> granules, std::int64_t bound);

// Σ|q_j|; cannot overflow.
unsigned __int128 l1_norm(std::span<const std::int64_t> granules);
unsigned __int128 l1_norm(std::span<const std::int32_t> granules);

// The nearest int32. Two inputs are never moved apart, |saturate(a) − saturate(b)| <= |a − b|, so
// a sum keeps its L1 sensitivity when each coordinate is saturated.
std::int32_t saturate(std::int64_t granules);
std::vector<std::int32_t> saturate(std::span<const std::int64_t> granules);

}  // namespace fedmesh::privacy
