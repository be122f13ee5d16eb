#include "checkpoint/tensor_map.h"

#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace weir {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

TEST(TensorMapTest, CopiesByName) {
  const std::vector<DenseTensor> tensors = {{"parameter/a", {2}, {1, 2}}, {"sum/a", {2}, {3, 4}}};
  const TensorMap map(tensors);
  std::vector<float> out(2);
  ASSERT_TRUE(map.Copy("sum/a", std::vector<int64_t>{2}, out).ok());
  EXPECT_THAT(out, ElementsAre(3, 4));
}

TEST(TensorMapTest, NamesWhatIsMissing) {
  const TensorMap map({});
  std::vector<float> out(2);
  const Status status = map.Copy("parameter/a", std::vector<int64_t>{2}, out);
  EXPECT_EQ(status.code(), StatusCode::kFailedPrecondition);
  EXPECT_THAT(status.message(), HasSubstr("parameter/a"));
}

TEST(TensorMapTest, RefusesAnotherShape) {
  const std::vector<DenseTensor> tensors = {{"w", {2, 3}, std::vector<float>(6)}};
  const TensorMap map(tensors);
  std::vector<float> out(6);
  const Status status = map.Copy("w", std::vector<int64_t>{3, 2}, out);
  EXPECT_EQ(status.code(), StatusCode::kFailedPrecondition);
  EXPECT_THAT(status.message(), HasSubstr("expected shape [3, 2], found [2, 3]"));
}

}  // namespace
}  // namespace weir
