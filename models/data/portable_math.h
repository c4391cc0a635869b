// Elementary functions from IEEE-754 additions, multiplications and divisions in a fixed order, so
// that generated data and partitions are the same bits with every C library. Good to about 1e-14.
#pragma once

#include "base/random.h"

namespace fedmesh::models::portable {

double exp(double x);                              // clamped to exp(±700)
double log(double x);                              // x > 0 and finite
double sigmoid(double x);                          // 1 / (1 + exp(-x))
double normal(SeededRandom& random);               // standard normal, polar method
double gamma(SeededRandom& random, double shape);  // scale 1; Marsaglia and Tsang 2000; shape > 0

}  // namespace fedmesh::models::portable
