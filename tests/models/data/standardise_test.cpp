#include "models/data/standardise.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <limits>

#include "models/data/generators.h"

namespace fedmesh::models {
namespace {

using ::testing::ElementsAre;

Schema two_numbers() {
  Schema schema;
  schema.columns = {{"a", 0, ColumnKind::numeric, 0, 100'000'000, {}},
                    {"b", 1, ColumnKind::categorical, 0, 0, {"x", "y"}},
                    {"c", 2, ColumnKind::numeric, -2'500'000, 7'500'000, {}}};
  schema.label_position = 3;
  schema.label_name = "label";
  return schema;
}

Dataset two_rows() { return {3, {3}, 2, {10, 1, 2.5f, 90, 0, -2.5f}, {0, 1}}; }

TEST(StandardiseTest, TouchesNumericInputsOnly) {
  Dataset data = two_rows();
  ASSERT_TRUE(apply(data, two_numbers(), {{50, 2.5}, {20, 0.1}}).ok());
  EXPECT_THAT(data.inputs, ElementsAre(-2, 1, 0, 2, 0, static_cast<float>((-2.5 - 2.5) / 0.1)));
}

TEST(StandardiseTest, TakesPublicConstantsFromTheBounds) {
  EXPECT_EQ(from_bounds(two_numbers()), (Standardisation{{50, 2.5}, {25, 2.5}}));
  EXPECT_TRUE(from_bounds(digits_schema()).mean.empty());
  Dataset images = digits(1, 1);
  ASSERT_TRUE(apply(images, digits_schema(), {}).ok());
  EXPECT_EQ(images, digits(1, 1));
}

TEST(StandardiseTest, RefusesConstantsThatDoNotFitAndLeavesTheData) {
  const double nan = std::numeric_limits<double>::quiet_NaN();
  const double infinity = std::numeric_limits<double>::infinity();
  for (const Standardisation& wrong : std::vector<Standardisation>{{{1}, {1}},
                                                                   {{1, 2}, {1}},
                                                                   {{1, 2}, {1, 0}},
                                                                   {{1, 2}, {-1, 1}},
                                                                   {{nan, 2}, {1, 1}},
                                                                   {{1, 2}, {1, infinity}}}) {
    Dataset data = two_rows();
    EXPECT_FALSE(apply(data, two_numbers(), wrong).ok());
    EXPECT_EQ(data, two_rows());
  }
  Dataset images = digits(1, 1);
  EXPECT_FALSE(apply(images, two_numbers(), from_bounds(two_numbers())).ok());
}

TEST(StandardiseTest, NeverProducesInfinity) {
  Dataset data = two_rows();
  ASSERT_TRUE(apply(data, two_numbers(), {{0, 0}, {1e-300, 1}}).ok());
  EXPECT_EQ(data.inputs[0], std::numeric_limits<float>::max());
}

TEST(StandardiseTest, TravelsAsTensors) {
  const Standardisation constants{{50, 2.5}, {20, 0.1}};
  const auto again = standardisation_from(to_tensors(constants), two_numbers());
  ASSERT_TRUE(again.ok()) << again.error().to_string();
  EXPECT_EQ(*again, constants);
  Tensors tensors = to_tensors(constants);
  tensors.pop_back();
  EXPECT_FALSE(standardisation_from(tensors, two_numbers()).ok());
  EXPECT_FALSE(standardisation_from(to_tensors({{1}, {1}}), two_numbers()).ok());
  EXPECT_FALSE(standardisation_from(to_tensors({{1, 2}, {1, -1}}), two_numbers()).ok());
  tensors = to_tensors(constants);
  tensors[0].data.pop_back();
  EXPECT_FALSE(standardisation_from(tensors, two_numbers()).ok());
}

}  // namespace
}  // namespace fedmesh::models
