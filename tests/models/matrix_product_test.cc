#include "models/layers/matrix_product.h"

#include <gtest/gtest.h>

#include "tests/models/job_fixture.h"

namespace weir {
namespace {

void ExpectProduct(const torch::Tensor& a, const torch::Tensor& b) {
  const torch::Tensor expected = at::mm(a.to(at::kDouble), b.t().to(at::kDouble)).to(at::kFloat);
  const torch::Tensor found = MultiplyTransposed(a, b);
  ASSERT_EQ(found.sizes(), expected.sizes());
  EXPECT_EQ(found.scalar_type(), at::kFloat);
  EXPECT_TRUE(found.is_contiguous());
  EXPECT_TRUE(at::allclose(found, expected, 1e-5, 1e-5)) << a.sizes() << " " << b.sizes();
}

TEST(MatrixProductTest, IsTheProductInDoubles) {
  for (int64_t m : {0, 1, 5, 64, 100}) {
    for (int64_t n : {1, 7, 64}) {
      for (int64_t k : {1, 13, 367}) ExpectProduct(RandomTensor({m, k}, 1), RandomTensor({n, k}, 2));
    }
  }
}

TEST(MatrixProductTest, TakesTransposedViews) {
  ExpectProduct(RandomTensor({50, 12}, 1).t(), RandomTensor({50, 33}, 2).t());
  ExpectProduct(RandomTensor({20, 33}, 1), RandomTensor({33, 8}, 2).t());
}

TEST(MatrixProductTest, TakesAViewOfALargerBuffer) {
  torch::Tensor buffer = RandomTensor({1000}, 3);
  ExpectProduct(RandomTensor({9, 12}, 1), buffer.narrow(0, 17, 96).view({8, 12}));
}

TEST(MatrixProductTest, SameBitsEachTime) {
  torch::Tensor a = RandomTensor({200, 367}, 1), b = RandomTensor({64, 367}, 2);
  torch::Tensor first = MultiplyTransposed(a, b);
  for (int i = 0; i < 5; ++i) EXPECT_TRUE(at::equal(MultiplyTransposed(a.clone(), b.clone()), first));
}

}  // namespace
}  // namespace weir
