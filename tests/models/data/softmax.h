// A plain softmax regression by stochastic gradient steps, to measure what a linear model reaches.
#pragma once

#include <algorithm>
#include <cmath>
#include <numeric>
#include <vector>

#include "base/random.h"
#include "models/data/dataset.h"

namespace fedmesh::models::testing_softmax {

class Softmax {
 public:
  Softmax(std::size_t features, std::size_t classes)
      : features_(features), weights_(classes, std::vector<float>(features + 1, 0.0f)) {}

  std::vector<float> scores(std::span<const float> row) const {
    std::vector<float> out;
    for (const auto& w : weights_) {
      float lanes[8] = {};
      std::size_t j = 0;
      for (; j + 8 <= features_; j += 8)
        for (std::size_t lane = 0; lane < 8; ++lane) lanes[lane] += w[j + lane] * row[j + lane];
      float sum = w[features_];
      for (; j < features_; ++j) sum += w[j] * row[j];
      out.push_back(std::accumulate(lanes, lanes + 8, sum));
    }
    return out;
  }

  void step(std::span<const float> row, std::size_t label, float rate) {
    std::vector<float> p = scores(row);
    const float top = *std::max_element(p.begin(), p.end());
    float total = 0;
    for (float& value : p) total += value = std::exp(value - top);
    for (std::size_t c = 0; c < p.size(); ++c) {
      const float slope = rate * (p[c] / total - (c == label ? 1.0f : 0.0f));
      auto& w = weights_[c];
      for (std::size_t j = 0; j < features_; ++j) w[j] -= slope * row[j];
      w[features_] -= slope;
    }
  }

 private:
  std::size_t features_;
  std::vector<std::vector<float>> weights_;
};

// Accuracy on `test`; the learning rate falls linearly to zero.
inline double train_and_test(const Dataset& train, const Dataset& test, int epochs, double rate) {
  Softmax model(train.features, train.classes);
  std::vector<std::size_t> order(train.rows());
  std::iota(order.begin(), order.end(), std::size_t{0});
  SeededRandom random(99);
  for (int epoch = 0; epoch < epochs; ++epoch) {
    for (std::size_t i = order.size(); i > 1; --i) std::swap(order[i - 1], order[random.below(i)]);
    const auto now = static_cast<float>(rate * (epochs - epoch) / epochs);
    for (const std::size_t row : order)
      model.step(train.row(row), static_cast<std::size_t>(train.labels[row]), now);
  }
  std::size_t right = 0;
  for (std::size_t row = 0; row < test.rows(); ++row) {
    const auto scores = model.scores(test.row(row));
    const auto best = std::max_element(scores.begin(), scores.end()) - scores.begin();
    right += best == test.labels[row] ? 1 : 0;
  }
  return static_cast<double>(right) / static_cast<double>(test.rows());
}

}  // namespace fedmesh::models::testing_softmax
