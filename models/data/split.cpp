#include "models/data/split.h"

#include <string>

#include "base/crypto/digest.h"

namespace fedmesh::models {
namespace {

constexpr std::uint32_t kWhole = 1'000'000;

bool is_train(const Split& rule, std::uint64_t index) {
  const Digest hash =
      crypto::Blake2b("fedmesh/split/v1").add_u64(rule.seed).add_u64(index).finish();
  return load_le64(hash.view()) % kWhole < rule.fraction_micro;  // bias below 2^-43
}

}  // namespace

Result<Dataset> split(const Dataset& data, const Split& rule) {
  if (rule.fraction_micro > kWhole) return invalid_argument("a split's fraction is at most 1");
  if (rule.which == Split::Which::all) return data;
  std::vector<std::size_t> kept;
  for (std::size_t i = 0; i < data.rows(); ++i)
    if (is_train(rule, i) == (rule.which == Split::Which::train)) kept.push_back(i);
  if (kept.empty())
    return invalid_argument("the split leaves none of " + std::to_string(data.rows()) + " rows");
  return data.subset(kept);
}

}  // namespace fedmesh::models
