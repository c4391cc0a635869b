#include <ATen/ops/add.h>
#include <ATen/ops/ones.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <cstdio>
#include <limits>
#include <numeric>

#include "base/random.h"
#include "models/data/generators.h"
#include "models/data/safetensors.h"
#include "models/data/standardise.h"
#include "models/kernels/dense.h"
#include "models/nets/evaluation.h"
#include "models/nets/network.h"
#include "models/nets/runtime.h"
#include "models/nets/training.h"

namespace fedmesh::models {
namespace {

using ::testing::HasSubstr;

constexpr std::int64_t kNano = 1'000'000'000;

Architecture architecture(ArchitectureKind kind, std::vector<std::int64_t> shape,
                          std::uint32_t classes, std::vector<std::uint32_t> hidden = {}) {
  return {.kind = kind,
          .input_shape = std::move(shape),
          .classes = classes,
          .hidden = std::move(hidden)};
}
const Architecture kBinary = architecture(ArchitectureKind::logistic, {5}, 2);
const Architecture kSoftmax = architecture(ArchitectureKind::logistic, {5}, 3);
const Architecture kMlp = architecture(ArchitectureKind::mlp, {5}, 3, {7, 4});
const Architecture kCnn = architecture(ArchitectureKind::cnn, {1, 28, 28}, 10);

class OneThread final : public ::testing::Environment {
  void SetUp() override { initialise_runtime(1); }
};
[[maybe_unused]] const auto* const kOneThread = ::testing::AddGlobalTestEnvironment(new OneThread);

// One step over the whole data with learning rate 1, so that the result shows the optimiser bare.
TrainingOptions one_step() {
  return {.learning_rate_nano = kNano,
          .local_epochs = 1,
          .batch_size = 1000,
          .optimizer = Optimizer::sgd,
          .momentum_nano = 0,
          .weight_decay_nano = 0,
          .proximal_mu_nano = 0};
}

Dataset random_data(std::size_t rows, std::uint32_t classes) {
  SeededRandom random(11);
  Dataset out{.features = 5, .shape = {5}, .classes = classes, .inputs = {}, .labels = {}};
  for (std::size_t i = 0; i < rows; ++i) {
    for (int j = 0; j < 5; ++j) out.inputs.push_back(static_cast<float>(random.normal()));
    out.labels.push_back(static_cast<std::int32_t>(random.below(classes)));
  }
  return out;
}

std::vector<float> random_parameters(const Architecture& a) {
  SeededRandom random(12);
  std::vector<float> out(elements(a.layout()));
  for (float& p : out) p = static_cast<float>(random.normal() / 2);
  return out;
}

std::vector<float> initial(const Architecture& a) {
  return *flatten(initial_parameters(a, 1), a.layout());
}

// Minus the mean gradient, by the fixed-order kernel in double precision.
std::vector<double> mean_direction(const Architecture& a, const std::vector<float>& parameters,
                                   const Dataset& data) {
  DenseNetwork net = *DenseNetwork::create(a, parameters);
  std::vector<double> one(net.parameters()), sum(net.parameters(), 0);
  for (std::size_t i = 0; i < data.rows(); ++i) {
    net.descent_direction(data.row(i), data.labels[i], one);
    for (std::size_t j = 0; j < sum.size(); ++j) sum[j] += one[j];
  }
  for (double& s : sum) s /= static_cast<double>(data.rows());
  return sum;
}

TrainOutcome trained(const Architecture& a, const std::vector<float>& parameters,
                     const Dataset& data, const TrainingOptions& options, std::uint64_t seed = 1) {
  auto outcome = train(a, parameters, data, options, seed);
  EXPECT_TRUE(outcome.ok()) << outcome.error().detail;
  return outcome.ok() ? *outcome : TrainOutcome{};
}

void expect_near(const std::vector<float>& actual, const std::vector<double>& expected,
                 double tolerance = 2e-6) {
  ASSERT_EQ(actual.size(), expected.size());
  for (std::size_t i = 0; i < actual.size(); ++i)
    ASSERT_NEAR(actual[i], expected[i], tolerance) << "parameter " << i;
}

TEST(TrainingTest, OnePlainStepIsTheKernelsMeanGradient) {
  for (const Architecture& a : {kBinary, kSoftmax, kMlp}) {
    const Dataset data = random_data(40, a.classes);
    const auto base = random_parameters(a);
    const auto direction = mean_direction(a, base, data);
    std::vector<double> expected(base.begin(), base.end());
    for (std::size_t i = 0; i < expected.size(); ++i) expected[i] += direction[i];
    expect_near(trained(a, base, data, one_step()).parameters, expected);
  }
}

TEST(TrainingTest, MomentumWeightDecayAndProximalTermFollowTheirFormulas) {
  const Dataset data = random_data(40, 2);
  const auto base = random_parameters(kBinary);
  TrainingOptions options = one_step();
  options.local_epochs = 2;  // two full-batch steps
  options.learning_rate_nano = kNano / 4;
  options.momentum_nano = kNano / 2;
  options.weight_decay_nano = kNano / 10;
  options.proximal_mu_nano = kNano / 5;

  std::vector<double> w(base.begin(), base.end()), velocity(w.size(), 0);
  for (int step = 0; step < 2; ++step) {
    const auto direction = mean_direction(kBinary, std::vector<float>(w.begin(), w.end()), data);
    for (std::size_t i = 0; i < w.size(); ++i) {
      const double gradient = -direction[i] + 0.1 * w[i] + 0.2 * (w[i] - base[i]);
      velocity[i] = 0.5 * velocity[i] + gradient;
      w[i] -= 0.25 * velocity[i];
    }
  }
  expect_near(trained(kBinary, base, data, options).parameters, w);
}

TEST(TrainingTest, AdamFollowsItsFormula) {
  const Dataset data = random_data(40, 3);
  const auto base = random_parameters(kSoftmax);
  TrainingOptions options = one_step();
  options.local_epochs = 3;
  options.optimizer = Optimizer::adam;
  options.learning_rate_nano = kNano / 100;

  std::vector<double> w(base.begin(), base.end()), m(w.size(), 0), v(w.size(), 0);
  for (int t = 1; t <= 3; ++t) {
    const auto direction = mean_direction(kSoftmax, std::vector<float>(w.begin(), w.end()), data);
    for (std::size_t i = 0; i < w.size(); ++i) {
      m[i] = 0.9 * m[i] - 0.1 * direction[i];
      v[i] = 0.999 * v[i] + 0.001 * direction[i] * direction[i];
      w[i] -= 0.01 * (m[i] / (1 - std::pow(0.9, t))) /
              (std::sqrt(v[i] / (1 - std::pow(0.999, t))) + 1e-8);
    }
  }
  expect_near(trained(kSoftmax, base, data, options).parameters, w, 1e-5);
}

TEST(TrainingTest, LowersTheLossInMinibatches) {
  const Dataset silo = [] {
    Dataset data = clinics_silo(1, 0, 5);
    EXPECT_TRUE(apply(data, clinics_schema(), from_bounds(clinics_schema())).ok());
    return data;
  }();
  TrainingOptions options = one_step();
  options.batch_size = 16;
  options.local_epochs = 5;
  for (const Architecture& a : {architecture(ArchitectureKind::logistic, {11}, 2),
                                architecture(ArchitectureKind::mlp, {11}, 2, {16})}) {
    options.learning_rate_nano = kNano / 20;
    const auto base = initial(a);
    const auto before = *evaluate(a, base, silo);
    const auto outcome = trained(a, base, silo, options);
    const auto after = *evaluate(a, outcome.parameters, silo);
    EXPECT_LT(after.loss, before.loss - 0.05) << to_string(a.kind);
    EXPECT_GT(after.correct, before.correct);
    EXPECT_EQ(outcome.steps, 5 * ((silo.rows() + 15) / 16));
  }
}

TEST(TrainingTest, TheSameSeedGivesTheSameBitsAndAnotherDoesNot) {
  const Dataset data = digits(3, 96);
  TrainingOptions options = one_step();
  options.batch_size = 32;
  options.learning_rate_nano = kNano / 20;
  options.momentum_nano = 9 * kNano / 10;
  const auto base = initial(kCnn);
  const auto first = trained(kCnn, base, data, options, 1);
  EXPECT_EQ(trained(kCnn, base, data, options, 1).parameters, first.parameters);
  EXPECT_NE(trained(kCnn, base, data, options, 2).parameters, first.parameters);
}

TEST(TrainingTest, ReportsEveryStep) {
  std::vector<std::uint64_t> seen;
  TrainingOptions options = one_step();
  options.batch_size = 4;
  options.local_epochs = 2;
  (void)train(kBinary, initial(kBinary), random_data(10, 2), options, 1, "cpu",
              [&](std::uint64_t done, std::uint64_t total) {
                EXPECT_EQ(total, 6u);
                seen.push_back(done);
              });
  EXPECT_THAT(seen, ::testing::ElementsAre(1, 2, 3, 4, 5, 6));
}

TEST(TrainingTest, SaysWhatIsWrong) {
  const Dataset data = random_data(10, 2);
  const auto base = initial(kBinary);
  const auto error = [&](const Dataset& d, const TrainingOptions& options,
                         const std::vector<float>& parameters, const std::string& device) {
    const auto outcome = train(kBinary, parameters, d, options, 1, device);
    return outcome.ok() ? std::string("accepted") : outcome.error().detail;
  };
  Dataset bad = data;
  bad.inputs[3] = std::numeric_limits<float>::quiet_NaN();
  EXPECT_THAT(error(bad, one_step(), base, "cpu"), HasSubstr("diverged at step 1"));
  EXPECT_THAT(error(data, one_step(), std::vector<float>(6, NAN), "cpu"), HasSubstr("not finite"));
  EXPECT_THAT(error(data, one_step(), std::vector<float>(5), "cpu"), HasSubstr("5 parameters"));
  EXPECT_THAT(error(random_data(0, 2), one_step(), base, "cpu"), HasSubstr("no examples"));
  EXPECT_THAT(error(random_data(5, 3), one_step(), base, "cpu"), HasSubstr("label outside"));
  EXPECT_THAT(error(data, one_step(), base, "tpu"), HasSubstr("cpu, cuda or auto"));
  TrainingOptions options = one_step();
  options.learning_rate_nano = 0;
  EXPECT_THAT(error(data, options, base, "cpu"), HasSubstr("learning_rate"));
  options = one_step();
  options.batch_size = 0;
  EXPECT_THAT(error(data, options, base, "cpu"), HasSubstr("batch_size"));
  options = one_step();
  options.momentum_nano = kNano;
  EXPECT_THAT(error(data, options, base, "cpu"), HasSubstr("momentum"));
}

TEST(TrainingTest, CudaWorksOrSaysThatItIsNotThere) {
  const auto outcome = train(kBinary, initial(kBinary), random_data(10, 2), one_step(), 1, "cuda");
  if (initialise_runtime().devices.size() > 1) {
    EXPECT_TRUE(outcome.ok());
  } else {
    EXPECT_EQ(outcome.error().code, ErrorCode::unavailable);
    EXPECT_THAT(outcome.error().detail, HasSubstr("use cpu"));
  }
  EXPECT_TRUE(train(kBinary, initial(kBinary), random_data(10, 2), one_step(), 1, "auto").ok());
}

TEST(EvaluationTest, AgreesWithTheFixedOrderKernel) {
  for (const Architecture& a : {kBinary, kSoftmax, kMlp}) {
    const Dataset data = random_data(600, a.classes);  // more than one batch
    const auto parameters = random_parameters(a);
    const auto library = *evaluate(a, parameters, data);
    const auto kernel = *evaluate_dense(data, a, parameters);
    EXPECT_NEAR(library.loss, kernel.loss, 1e-5);
    EXPECT_EQ(library.correct, kernel.correct);
    EXPECT_EQ(library.class_count, kernel.class_count);
    EXPECT_EQ(library.class_correct, kernel.class_correct);
  }
}

TEST(NetsTest, ACnnLearnsGeneratedDigitsThatALinearModelDoesNot) {
  const Dataset training = digits(3, 3000);
  const Dataset test = digits(4, 1000);
  TrainingOptions options = one_step();
  options.batch_size = 32;
  options.local_epochs = 2;
  options.momentum_nano = 9 * kNano / 10;
  options.learning_rate_nano = kNano / 20;
  const auto accuracy = [&](const Architecture& a) {
    const auto base =
        *flatten(*decode_safetensors(encode_safetensors(initial_parameters(a, 1))), a.layout());
    const auto outcome = trained(a, base, training, options);
    const auto result = *evaluate(a, outcome.parameters, test);
    EXPECT_EQ(result.correct, std::accumulate(result.class_correct.begin(),
                                              result.class_correct.end(), std::uint64_t{0}));
    return static_cast<double>(result.correct) / static_cast<double>(result.count);
  };
  const double cnn = accuracy(kCnn);
  options.learning_rate_nano = kNano / 100;
  options.local_epochs = 5;
  const double linear = accuracy(architecture(ArchitectureKind::logistic, {1, 28, 28}, 10));
  std::printf("accuracy on generated digits: cnn %.3f, linear %.3f\n", cnn, linear);
  EXPECT_GE(cnn, 0.95);
  EXPECT_LT(linear, cnn - 0.05);
}

TEST(RuntimeTest, NamesWhatIsThere) {
  const Runtime runtime = initialise_runtime();
  EXPECT_THAT(runtime.torch_version, HasSubstr("."));
  EXPECT_EQ(runtime.devices.front(), "cpu");
  EXPECT_EQ(blas_warning(runtime).empty(), !runtime.blas.empty());
  EXPECT_THAT(blas_warning({}), HasSubstr("OpenBLAS"));
}

TEST(RuntimeTest, WhatLibTorchThrowsBecomesAnError) {
  const auto shapes = guarded([]() -> Result<int> {
    (void)at::ones({2}).add(at::ones({3}));
    return 1;
  });
  ASSERT_FALSE(shapes.ok());
  EXPECT_EQ(shapes.error().code, ErrorCode::unavailable);
  EXPECT_THAT(shapes.error().detail, HasSubstr("LibTorch failed: The size of tensor"));
  const auto memory = guarded([]() -> Result<int> { throw std::bad_alloc(); });
  ASSERT_FALSE(memory.ok());
  EXPECT_EQ(memory.error().code, ErrorCode::exhausted);
  EXPECT_THAT(memory.error().detail, HasSubstr("smaller batch_size"));
}

}  // namespace
}  // namespace fedmesh::models
