#include "aggregation/server_step.h"

#include <cmath>
#include <string>

#include "aggregation/float_environment.h"
#include "privacy/fixed_point.h"

namespace fedmesh::aggregation {
namespace {

constexpr std::uint64_t kExactInteger = std::uint64_t{1} << 53;
constexpr std::int64_t kStepNanoMax = 1'000'000'000'000'000;

[[gnu::noinline]] void step(std::span<const float> base, std::span<const std::int64_t> sum,
                            std::uint64_t denominator, unsigned fraction_bits,
                            std::int64_t step_nano, std::span<float> out) {
  const double eta = static_cast<double>(step_nano) / 1e9;
  const double divisor = static_cast<double>(denominator);
  const double granule = 1.0 / static_cast<double>(std::uint64_t{1} << fraction_bits);
  for (std::size_t j = 0; j < out.size(); ++j) {
    const double mean = static_cast<double>(sum[j]) / divisor;
    const double real = mean * granule;
    const double move = eta * real;
    const double next = static_cast<double>(base[j]) + move;
    out[j] = static_cast<float>(next);
  }
}

[[gnu::noinline]] void accumulate(std::span<double> sum, std::span<const float> iterate) {
  for (std::size_t j = 0; j < sum.size(); ++j) sum[j] += static_cast<double>(iterate[j]);
}

[[gnu::noinline]] void divide(std::span<const double> sum, std::uint64_t count,
                              std::span<float> out) {
  const double divisor = static_cast<double>(count);
  for (std::size_t j = 0; j < out.size(); ++j) out[j] = static_cast<float>(sum[j] / divisor);
}

}  // namespace

Result<std::vector<float>> apply_mean(std::span<const float> base,
                                      std::span<const std::int64_t> sum, std::uint64_t denominator,
                                      unsigned fraction_bits, std::int64_t step_nano) {
  if (base.size() != sum.size())
    return invalid_argument("the aggregate has " + std::to_string(sum.size()) +
                            " values, the model " + std::to_string(base.size()));
  if (denominator == 0 || denominator > kExactInteger)
    return invalid_argument("a mean's denominator is between 1 and 2^53");
  if (fraction_bits > privacy::kFractionBitsMax)
    return invalid_argument("fraction_bits is at most 30");
  if (step_nano > kStepNanoMax || step_nano < -kStepNanoMax)
    return invalid_argument("a server step is at most a million");
  std::vector<float> out(base.size());
  {
    const FloatEnvironment environment;
    step(base, sum, denominator, fraction_bits, step_nano, out);
  }
  for (std::size_t j = 0; j < out.size(); ++j)
    if (!std::isfinite(out[j]))
      return invalid_argument("parameter " + std::to_string(j) +
                              " of the new model is not finite: lower the learning rate");
  return out;
}

void running_average(std::span<double> average_sum, std::span<const float> iterate) {
  FM_CHECK(average_sum.size() == iterate.size(), "iterates of one model have one length");
  const FloatEnvironment environment;
  accumulate(average_sum, iterate);
}

std::vector<float> average(std::span<const double> sum, std::uint64_t count) {
  std::vector<float> out(sum.size(), 0.0f);
  if (count == 0) return out;
  const FloatEnvironment environment;
  divide(sum, count, out);
  return out;
}

}  // namespace fedmesh::aggregation
