#include "models/data/tensor.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace fedmesh::models {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

const Layout kLayout{{"a", {2}}, {"b", {1, 3}}};

Tensors tensors() {
  return {Tensor::of("a", {2}, std::vector<float>{1, -2}),
          Tensor::of("b", {1, 3}, std::vector<float>{3, 4, 0.5f}),
          Tensor::of("extra", {}, std::vector<double>{7})};
}

TEST(TensorTest, HoldsLittleEndianBytes) {
  const Tensor one = Tensor::of("x", {1}, std::vector<float>{1.0f});
  EXPECT_THAT(one.data, ElementsAre(0, 0, 0x80, 0x3f));
  EXPECT_THAT(Tensor::of("x", {}, std::vector<double>{0.1}).doubles(), ElementsAre(0.1));
  EXPECT_EQ(tensors()[1].elements(), 3u);
  EXPECT_EQ(tensors()[2].elements(), 1u);
}

TEST(TensorTest, KnowsWhetherDataFillsTheShape) {
  EXPECT_TRUE((Tensor{"x", DType::i64, {2, 0}, {}}).consistent());
  EXPECT_FALSE((Tensor{"x", DType::u8, {2}, {1}}).consistent());
  EXPECT_FALSE((Tensor{"x", DType::u8, {-1}, {}}).consistent());
  EXPECT_FALSE((Tensor{"x", DType::f64, {INT64_MAX, 2}, {}}).consistent());
  EXPECT_FALSE((Tensor{"x", DType::f64, {INT64_MAX}, {}}).consistent());
}

TEST(TensorTest, FlattenAndUnflattenAreInverse) {
  const auto flat = flatten(tensors(), kLayout);
  ASSERT_TRUE(flat.ok()) << flat.error().to_string();
  EXPECT_THAT(*flat, ElementsAre(1, -2, 3, 4, 0.5f));
  const Tensors again = unflatten(*flat, kLayout);
  EXPECT_EQ(again[0], tensors()[0]);
  EXPECT_EQ(again[1], tensors()[1]);
  EXPECT_EQ(elements(kLayout), 5u);
}

TEST(TensorTest, FlattenNamesTheTensorThatDoesNotFit) {
  const auto error = [](const Tensors& t) { return flatten(t, kLayout).error().detail; };
  EXPECT_THAT(error({tensors()[0]}), HasSubstr("no tensor 'b'"));
  Tensors other = tensors();
  other[1].shape = {3, 1};
  EXPECT_THAT(error(other), HasSubstr("'b' has shape [3, 1], the architecture needs [1, 3]"));
  other = tensors();
  other[0].dtype = DType::i32;
  EXPECT_THAT(error(other), HasSubstr("'a' is not of type F32"));
  other = tensors();
  other[0].data.pop_back();
  EXPECT_THAT(error(other), HasSubstr("'a' has fewer or more bytes"));
}

}  // namespace
}  // namespace fedmesh::models
