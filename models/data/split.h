// Train and test halves of one silo's rows.
#pragma once

#include <cstdint>

#include "base/result.h"
#include "models/data/dataset.h"

namespace fedmesh::models {

// A row belongs to `train` if a hash of (seed, its index) falls below the fraction, whatever its
// values are; else to `test`. Rows never move when others are appended.
struct Split {
  enum class Which : std::uint8_t { train, test, all };
  std::uint32_t fraction_micro = 1'000'000;  // of the rows, on average; 0 to 1,000,000
  std::uint64_t seed = 0;
  Which which = Which::all;
  friend bool operator==(const Split&, const Split&) = default;
};

// invalid_argument: the fraction is above one, or no row is left.
Result<Dataset> split(const Dataset& data, const Split& rule);

}  // namespace fedmesh::models
