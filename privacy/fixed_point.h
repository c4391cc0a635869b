// Real numbers as int32 multiples of a granule, 2^-fraction_bits: the wire format of updates.
// Sums of integers have no order, and their sensitivity is exact (Mironov 2012 is what goes wrong
// with floats).
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "base/result.h"

namespace fedmesh::privacy {

inline constexpr unsigned kFractionBitsMax = 30;

// Each value times 2^fraction_bits, rounded to the nearest integer, halves to even, whatever the
// rounding mode. invalid_argument names the first index whose value is not finite or does not fit
// int32, or says that fraction_bits is above kFractionBitsMax.
Result<std::vector<std::int32_t>> quantise(std::span<const float> values, unsigned fraction_bits);

// granules · 2^-fraction_bits: exact up to 2^53 granules, beyond that rounded once.
// fraction_bits is at most kFractionBitsMax (checked).
double to_real(std::int64_t granules, unsigned fraction_bits);

}  // namespace fedmesh::privacy
