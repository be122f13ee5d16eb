#include "embeddings/schedule.h"

#include <cmath>

#include <gtest/gtest.h>

namespace weir {
namespace {

OptimizerConfig Config(int64_t warmup, ScheduleConfig::Decay decay, int64_t decay_steps, double end_factor) {
  OptimizerConfig config;
  config.set_learning_rate(2);
  config.mutable_schedule()->set_warmup_steps(warmup);
  config.mutable_schedule()->set_decay(decay);
  config.mutable_schedule()->set_decay_steps(decay_steps);
  config.mutable_schedule()->set_end_factor(end_factor);
  return config;
}

TEST(ScheduleTest, ConstantByDefault) {
  OptimizerConfig config;
  EXPECT_EQ(LearningRate(config, 1), 0.01);
  EXPECT_EQ(LearningRate(config, 1'000'000), 0.01);
}

TEST(ScheduleTest, WarmupRisesLinearly) {
  const OptimizerConfig config = Config(10, ScheduleConfig::NONE, 0, 0);
  EXPECT_DOUBLE_EQ(LearningRate(config, 1), 0.2);
  EXPECT_DOUBLE_EQ(LearningRate(config, 5), 1);
  EXPECT_DOUBLE_EQ(LearningRate(config, 10), 2);
  EXPECT_DOUBLE_EQ(LearningRate(config, 11), 2);
}

TEST(ScheduleTest, DecaysFromTheEndOfWarmup) {
  const OptimizerConfig linear = Config(10, ScheduleConfig::LINEAR, 100, 0.1);
  EXPECT_DOUBLE_EQ(LearningRate(linear, 10), 2);
  EXPECT_DOUBLE_EQ(LearningRate(linear, 60), 2 * 0.55);
  EXPECT_DOUBLE_EQ(LearningRate(linear, 110), 0.2);
  EXPECT_DOUBLE_EQ(LearningRate(linear, 5000), 0.2);

  const OptimizerConfig cosine = Config(0, ScheduleConfig::COSINE, 100, 0.2);
  EXPECT_NEAR(LearningRate(cosine, 25), 2 * (0.2 + 0.8 * (1 + std::sqrt(0.5)) / 2), 1e-12);
  EXPECT_NEAR(LearningRate(cosine, 50), 2 * 0.6, 1e-12);
  EXPECT_DOUBLE_EQ(LearningRate(cosine, 100), 0.4);

  const OptimizerConfig exponential = Config(0, ScheduleConfig::EXPONENTIAL, 100, 0.01);
  EXPECT_NEAR(LearningRate(exponential, 50), 2 * 0.1, 1e-12);
  EXPECT_NEAR(LearningRate(exponential, 100), 2 * 0.01, 1e-12);
}

TEST(ScheduleTest, NeverRises) {
  for (auto decay : {ScheduleConfig::LINEAR, ScheduleConfig::COSINE, ScheduleConfig::EXPONENTIAL}) {
    for (double end : {0.0, 0.3}) {
      const OptimizerConfig config = Config(3, decay, 50, end);
      for (int64_t step = 3; step < 60; ++step) {
        EXPECT_LE(LearningRate(config, step + 1), LearningRate(config, step)) << decay << " step " << step;
      }
      EXPECT_DOUBLE_EQ(LearningRate(config, 60), 2 * end);
    }
  }
}

}  // namespace
}  // namespace weir
