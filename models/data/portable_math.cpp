#include "models/data/portable_math.h"

#include <algorithm>
#include <cmath>

namespace fedmesh::models::portable {
namespace {

constexpr double kLn2 = 0.6931471805599453;

}  // namespace

// exp(x) = 2^k exp(r) with |r| <= ln2 / 2, by the Taylor series.
double exp(double x) {
  x = std::clamp(x, -700.0, 700.0);
  const double k = std::floor(x / kLn2 + 0.5);
  const double r = x - k * kLn2;
  double sum = 1.0;
  for (int i = 16; i >= 1; --i) sum = 1.0 + sum * r / i;
  return std::ldexp(sum, static_cast<int>(k));
}

// log(m 2^k) = k ln2 + 2 atanh((m - 1) / (m + 1)) with m in [sqrt(1/2), sqrt(2)).
double log(double x) {
  int k = 0;
  double m = std::frexp(x, &k);
  if (m < 0.7071067811865476) {
    m *= 2;
    --k;
  }
  const double t = (m - 1) / (m + 1);
  double sum = 0;
  for (int i = 23; i >= 1; i -= 2) sum = sum * (t * t) + 1.0 / i;
  return k * kLn2 + 2 * t * sum;
}

double sigmoid(double x) { return 1.0 / (1.0 + exp(-x)); }

double normal(SeededRandom& random) {
  for (;;) {
    const double u = 2 * random.uniform() - 1;
    const double v = 2 * random.uniform() - 1;
    const double s = u * u + v * v;
    if (s > 0 && s < 1) return u * std::sqrt(-2 * log(s) / s);
  }
}

double gamma(SeededRandom& random, double shape) {
  FM_CHECK(shape > 0, "a gamma distribution has a positive shape");
  if (shape < 1) {  // Gamma(a) = Gamma(a + 1) U^(1/a)
    const double u = std::max(random.uniform(), 0x1.0p-53);
    return gamma(random, shape + 1) * exp(log(u) / shape);
  }
  const double d = shape - 1.0 / 3;
  const double c = 1 / std::sqrt(9 * d);
  for (;;) {
    const double x = normal(random);
    const double t = 1 + c * x;
    if (t <= 0) continue;
    const double v = t * t * t;
    const double u = std::max(random.uniform(), 0x1.0p-53);
    if (log(u) < 0.5 * x * x + d - d * v + d * log(v)) return d * v;
  }
}

}  // namespace fedmesh::models::portable
