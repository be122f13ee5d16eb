#include "embeddings/row_layout.h"

#include <gtest/gtest.h>

namespace weir {
namespace {

std::string Describe(const RowLayout& layout) {
  std::string text = std::to_string(layout.dim);
  for (const StateColumn& column : layout.state) {
    text += " " + column.name + ":" + std::to_string(column.width) + "=" + std::to_string(column.initial).substr(0, 4);
  }
  return text;
}

TEST(RowLayoutTest, FollowsTheOptimizer) {
  OptimizerConfig config;
  EXPECT_EQ(Describe(MakeRowLayout(16, config)), "16 sum:1=0.00") << "row-wise AdaGrad by default";
  config.mutable_sgd();
  EXPECT_EQ(Describe(MakeRowLayout(16, config)), "16");
  config.mutable_adagrad()->set_initial_accumulator(0.25);
  EXPECT_EQ(Describe(MakeRowLayout(16, config)), "16 sum:16=0.25");
  config.mutable_rowwise_adagrad();
  EXPECT_EQ(Describe(MakeRowLayout(16, config)), "16 sum:1=0.00");
  config.mutable_adam();
  EXPECT_EQ(Describe(MakeRowLayout(16, config)), "16 exp_avg:16=0.00 exp_avg_sq:16=0.00");
  EXPECT_EQ(MakeRowLayout(16, config).width(), 48);
  config.mutable_adam()->set_amsgrad(true);
  EXPECT_EQ(Describe(MakeRowLayout(16, config)), "16 exp_avg:16=0.00 exp_avg_sq:16=0.00 max_exp_avg_sq:16=0.00");
  config.mutable_momentum();
  EXPECT_EQ(Describe(MakeRowLayout(16, config)), "16 momentum_buffer:16=0.00");
  config.mutable_ftrl();
  EXPECT_EQ(Describe(MakeRowLayout(16, config)), "16 z:16=0.00 n:16=0.00");
  config.mutable_group_lasso_ftrl();
  EXPECT_EQ(Describe(MakeRowLayout(16, config)), "16 z:16=0.00 n:16=0.00");
}

TEST(RowLayoutTest, WeightsTakeTheBytesOfTheirType) {
  EXPECT_EQ(MakeRowLayout(16, OptimizerConfig()).weight_bytes(), 64);
  const RowLayout narrow = MakeRowLayout(16, OptimizerConfig(), TableConfig::BFLOAT16);
  EXPECT_EQ(narrow.weight_bytes(), 32);
  EXPECT_EQ(narrow.width(), 17) << "floats of a RowBlock";
  EXPECT_STREQ(WeightTypeName(narrow.weight_type), "bfloat16");
  EXPECT_STREQ(WeightTypeName(TableConfig::FLOAT32), "float32");
}

}  // namespace
}  // namespace weir
