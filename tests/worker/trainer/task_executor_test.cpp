#include "worker/trainer/task_executor.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <numeric>

#include "base/random.h"
#include "models/data/dataset_blob.h"
#include "models/data/standardise.h"
#include "models/kernels/evaluation.h"
#include "models/kernels/record_step.h"
#include "models/kernels/statistics.h"
#include "tests/worker/trainer/test_tasks.h"

namespace fedmesh::trainer {
namespace {

using ::testing::HasSubstr;

class TaskExecutorTest : public ::testing::Test {
 protected:
  template <class T>
  T result(const Request& request) {
    const Response response = executor.run(request);
    EXPECT_TRUE(response.ok) << response.error;
    EXPECT_EQ(response.id, request.id);
    const auto decoded = decode_task<T>(response.body);
    EXPECT_TRUE(decoded.ok());
    return decoded.ok() ? *decoded : T{};
  }
  std::string error(const Request& request) {
    const Response response = executor.run(request);
    EXPECT_FALSE(response.ok);
    return response.error;
  }

  KernelExecutor executor;
  const models::Dataset silo = models::clinics_silo(1, 0, 5);
};

TEST_F(TaskExecutorTest, DescribesTheData) {
  const auto out = result<DescribeResult>(describe_request(1));
  EXPECT_EQ(out.rows, silo.rows());
  EXPECT_EQ(out.features, silo.features);
  EXPECT_EQ(out.schema_hash, models::clinics_schema().hash());
  EXPECT_EQ(std::accumulate(out.label_count.begin(), out.label_count.end(), std::uint64_t{0}),
            silo.rows());
}

TEST_F(TaskExecutorTest, GradientIsTheKernels) {
  const auto architecture = logistic_for(models::clinics_schema());
  const auto out = result<VectorResult>(gradient_request(2));
  const auto sum =
      *models::clipped_gradient_sum(silo, architecture, std::vector<float>(silo.features + 1, 0.0f),
                                    {.fraction_bits = 12, .clip_granules = 4096});
  EXPECT_EQ(*int32s_of(out.values), sum.values);
  EXPECT_EQ(out.examples, silo.rows());
}

TEST_F(TaskExecutorTest, StatisticsIgnoreStandardisationAndScale) {
  const auto sum = *models::statistics_sum(silo, models::clinics_schema(), 12);
  StatisticsTask task{.data = clinic(), .fraction_bits = 12};
  EXPECT_EQ(*int32s_of(result<VectorResult>(request(3, TaskKind::statistics, task)).values),
            sum.values);
  task.data.input_scale_nano = 500'000'000;
  EXPECT_EQ(*int32s_of(result<VectorResult>(request(4, TaskKind::statistics, task)).values),
            sum.values);
}

TEST_F(TaskExecutorTest, StandardisationThenScaleAreApplied) {
  const models::Schema schema = models::clinics_schema();
  const auto constants = models::from_bounds(schema);
  models::Dataset prepared = silo;
  ASSERT_TRUE(models::apply(prepared, schema, constants).ok());
  for (float& x : prepared.inputs) x = static_cast<float>(x * 0.5);
  DataView view = clinic();
  view.standardisation = models::encode_safetensors(models::to_tensors(constants));
  view.input_scale_nano = 500'000'000;
  DataLoader loader;
  EXPECT_EQ(**loader.load(view), prepared);
}

TEST_F(TaskExecutorTest, DataMayComeAsABlob) {
  DataView view = clinic("");
  view.blob = models::encode_dataset(silo);
  EXPECT_EQ(result<DescribeResult>(request(5, TaskKind::describe, DescribeTask{view})).rows,
            silo.rows());
  view.uri = clinic().uri;
  EXPECT_THAT(error(request(5, TaskKind::describe, DescribeTask{view})), HasSubstr("not both"));
  view = clinic("");
  EXPECT_THAT(error(request(5, TaskKind::describe, DescribeTask{view})), HasSubstr("corruption"));
}

TEST_F(TaskExecutorTest, ABlobMustFitTheSchema) {
  DataView view = digit_images(1);
  view.uri.clear();
  view.blob = models::encode_dataset(silo);
  EXPECT_THAT(error(request(6, TaskKind::describe, DescribeTask{view})),
              HasSubstr("the schema says 784 and 10"));
}

TEST_F(TaskExecutorTest, TheSameViewIsLoadedOnceAndOldOnesAreDropped) {
  DataLoader loader(2);
  const auto first = *loader.load(clinic());
  EXPECT_EQ(*loader.load(clinic()), first);
  (void)loader.load(digit_images(1));
  EXPECT_EQ(*loader.load(clinic()), first);  // used more recently than the images
  (void)loader.load(digit_images(2));
  (void)loader.load(digit_images(3));
  EXPECT_NE(*loader.load(clinic()), first);
}

TEST_F(TaskExecutorTest, EvaluatesDenseModels) {
  const auto out = result<EvaluateResult>(evaluate_request(7));
  EXPECT_EQ(out.count, silo.rows());
  EXPECT_EQ(out.correct, out.class_correct[0] + out.class_correct[1]);
  EXPECT_EQ(out.loss_micro, 693147);  // log 2 at zero parameters
}

TEST_F(TaskExecutorTest, SaysWhatItRefuses) {
  EXPECT_THAT(error(train_request(8)), HasSubstr("fedmesh-trainer"));
  const auto cnn = request(9, TaskKind::evaluate,
                           EvaluateTask{.data = digit_images(2),
                                        .architecture = cnn_for_digits(),
                                        .model = initial_model(cnn_for_digits()),
                                        .device = "cpu"});
  EXPECT_THAT(error(cnn), HasSubstr("allowed are logistic and mlp"));
  const auto architecture = logistic_for(models::clinics_schema());
  const auto broken = request(
      10, TaskKind::evaluate,
      EvaluateTask{
          .data = clinic(), .architecture = architecture, .model = Bytes(100, 1), .device = "cpu"});
  EXPECT_THAT(error(broken), HasSubstr("evaluate task"));
  EXPECT_THAT(error(request(11, TaskKind::describe, DescribeTask{clinic("/no/such/file.csv")})),
              HasSubstr("/no/such/file.csv"));
  DataView scaled = clinic();
  scaled.input_scale_nano = 0;
  EXPECT_THAT(error(request(12, TaskKind::describe, DescribeTask{scaled})),
              HasSubstr("input_scale"));
}

TEST_F(TaskExecutorTest, HostileBodiesAreErrors) {
  SeededRandom random(1);
  const std::vector<Request> good{describe_request(1), gradient_request(2), evaluate_request(3),
                                  statistics_request(4)};
  for (int trial = 0; trial < 400; ++trial) {
    Request bad = good[random.below(good.size())];
    if (trial % 2 == 0) {
      bad.body.resize(random.below(bad.body.size()));
    } else {
      // Beyond the source's text, where a changed digit would only name other generated data.
      const std::size_t at = 40 + random.below(bad.body.size() - 40);
      bad.body[at] = static_cast<std::uint8_t>(random.below(256));
    }
    const Response response = executor.run(bad);
    EXPECT_EQ(response.id, bad.id);
    EXPECT_EQ(response.ok, response.error.empty());
  }
  EXPECT_FALSE(executor.run({.id = 1, .kind = static_cast<TaskKind>(99), .body = {}}).ok);
}

}  // namespace
}  // namespace fedmesh::trainer
