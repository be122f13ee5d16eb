#include "trainer/dense_optimizer.h"

#include <algorithm>
#include <cmath>
#include <functional>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <torch/nn/utils/clip_grad.h>
#include <torch/optim/adagrad.h>
#include <torch/optim/adam.h>
#include <torch/optim/sgd.h>
#include <torch/types.h>

#include "base/random.h"
#include "embeddings/schedule.h"

namespace weir {
namespace {

constexpr int64_t kSize = 71;  // no multiple of a vector register
constexpr int64_t kSteps = 30;

float Draw(uint64_t a, uint64_t b) { return 2 * UnitFloat(RandomBits(1, RandomPurpose::kSampling, a, b)) - 1; }

std::vector<float> InitialValues() {
  std::vector<float> values(kSize);
  for (int64_t i = 0; i < kSize; ++i) values[i] = Draw(0, i);
  return values;
}

std::vector<float> Gradients(int64_t step) {
  std::vector<float> gradients(kSize);
  for (int64_t i = 0; i < kSize; ++i) gradients[i] = i % 7 == 0 ? 0.0f : Draw(static_cast<uint64_t>(step), i);
  return gradients;
}

OptimizerConfig Config(double rate, double weight_decay) {
  OptimizerConfig config;
  config.set_learning_rate(rate);
  config.set_weight_decay(weight_decay);
  return config;
}

std::vector<float> Train(const OptimizerConfig& config) {
  std::unique_ptr<DenseOptimizer> optimizer = DenseOptimizer::Make(config, kSize).value();
  std::vector<float> values = InitialValues();
  for (int64_t step = 1; step <= kSteps; ++step) optimizer->Step(step, values, Gradients(step));
  return values;
}

std::vector<float> TrainTorch(
    const std::function<std::unique_ptr<torch::optim::Optimizer>(torch::Tensor)>& make,
    const std::function<void(torch::Tensor)>& clip = [](torch::Tensor) {}) {
  torch::Tensor values = at::empty({kSize}, at::kFloat);
  std::vector<float> initial = InitialValues();
  std::copy(initial.begin(), initial.end(), values.mutable_data_ptr<float>());
  values.requires_grad_();
  values.mutable_grad() = at::zeros({kSize}, at::kFloat);
  std::unique_ptr<torch::optim::Optimizer> optimizer = make(values);
  for (int64_t step = 1; step <= kSteps; ++step) {
    std::vector<float> gradients = Gradients(step);
    std::copy(gradients.begin(), gradients.end(), values.mutable_grad().mutable_data_ptr<float>());
    clip(values);
    optimizer->step();
  }
  torch::Tensor trained = values.detach();
  return {trained.const_data_ptr<float>(), trained.const_data_ptr<float>() + kSize};
}

void ExpectNear(const std::vector<float>& found, const std::vector<float>& expected) {
  ASSERT_EQ(found.size(), expected.size());
  for (size_t i = 0; i < found.size(); ++i) EXPECT_NEAR(found[i], expected[i], 1e-6) << "value " << i;
}

class WeightDecayTest : public ::testing::TestWithParam<double> {};

TEST_P(WeightDecayTest, SgdIsPyTorchs) {
  OptimizerConfig config = Config(0.05, GetParam());
  config.mutable_sgd();
  ExpectNear(Train(config), TrainTorch([&](torch::Tensor values) {
               return std::make_unique<torch::optim::SGD>(std::vector<torch::Tensor>{values},
                                                          torch::optim::SGDOptions(0.05).weight_decay(GetParam()));
             }));
}

TEST_P(WeightDecayTest, AdamIsPyTorchs) {
  OptimizerConfig config = Config(0.01, GetParam());
  config.mutable_adam()->set_beta2(0.99);
  ExpectNear(Train(config), TrainTorch([&](torch::Tensor values) {
               return std::make_unique<torch::optim::Adam>(
                   std::vector<torch::Tensor>{values},
                   torch::optim::AdamOptions(0.01).betas({0.9, 0.99}).weight_decay(GetParam()));
             }));
}

TEST_P(WeightDecayTest, AdaGradIsPyTorchs) {
  OptimizerConfig config = Config(0.05, GetParam());
  config.mutable_adagrad()->set_initial_accumulator(0.1);
  ExpectNear(Train(config), TrainTorch([&](torch::Tensor values) {
               return std::make_unique<torch::optim::Adagrad>(
                   std::vector<torch::Tensor>{values},
                   torch::optim::AdagradOptions(0.05).initial_accumulator_value(0.1).weight_decay(GetParam()));
             }));
}

TEST_P(WeightDecayTest, MomentumIsPyTorchs) {
  for (bool nesterov : {false, true}) {
    OptimizerConfig config = Config(0.05, GetParam());
    config.mutable_momentum()->set_momentum(0.8);
    config.mutable_momentum()->set_nesterov(nesterov);
    ExpectNear(Train(config), TrainTorch([&](torch::Tensor values) {
                 return std::make_unique<torch::optim::SGD>(
                     std::vector<torch::Tensor>{values},
                     torch::optim::SGDOptions(0.05).momentum(0.8).nesterov(nesterov).weight_decay(GetParam()));
               }));
  }
}

TEST_P(WeightDecayTest, AmsgradIsPyTorchs) {
  OptimizerConfig config = Config(0.01, GetParam());
  config.mutable_adam()->set_beta2(0.9);  // so that the largest mean of squares is not always the last
  config.mutable_adam()->set_amsgrad(true);
  ExpectNear(Train(config), TrainTorch([&](torch::Tensor values) {
               return std::make_unique<torch::optim::Adam>(
                   std::vector<torch::Tensor>{values},
                   torch::optim::AdamOptions(0.01).betas({0.9, 0.9}).weight_decay(GetParam()).amsgrad(true));
             }));
}

TEST_P(WeightDecayTest, ClippingIsPyTorchs) {
  for (const auto& [value, norm] : {std::pair(0.5, 0.0), std::pair(0.0, 2.0), std::pair(0.5, 2.0)}) {
    OptimizerConfig config = Config(0.05, GetParam());
    config.mutable_sgd();
    config.set_clip_value(value);
    config.set_clip_norm(norm);
    auto make = [&](torch::Tensor values) {
      return std::make_unique<torch::optim::SGD>(std::vector<torch::Tensor>{values},
                                                 torch::optim::SGDOptions(0.05).weight_decay(GetParam()));
    };
    auto clip = [value = value, norm = norm](torch::Tensor values) {
      if (value != 0) torch::nn::utils::clip_grad_value_(values, value);
      if (norm != 0) torch::nn::utils::clip_grad_norm_(values, norm);
    };
    ExpectNear(Train(config), TrainTorch(make, clip));
  }
}

INSTANTIATE_TEST_SUITE_P(Decays, WeightDecayTest, ::testing::Values(0.0, 0.1));

TEST(DenseOptimizerTest, AdamIsTheScalarOracles) {
  OptimizerConfig config = Config(0.02, 0.01);
  config.mutable_adam();
  std::vector<float> expected = InitialValues();
  for (int64_t i = 0; i < kSize; ++i) {
    double value = expected[i], mean = 0, square = 0;
    for (int64_t step = 1; step <= kSteps; ++step) {
      double gradient = Gradients(step)[i] + 0.01 * value;
      mean = 0.9 * mean + 0.1 * gradient;
      square = 0.999 * square + 0.001 * gradient * gradient;
      double unbiased = std::sqrt(square / (1 - std::pow(0.999, step))) + 1e-8;
      value -= 0.02 * mean / (1 - std::pow(0.9, step)) / unbiased;
    }
    expected[i] = static_cast<float>(value);
  }
  std::vector<float> found = Train(config);
  for (int64_t i = 0; i < kSize; ++i) EXPECT_NEAR(found[i], expected[i], 1e-5);
}

TEST(DenseOptimizerTest, TheRateFollowsTheSchedule) {
  OptimizerConfig config = Config(0.5, 0);
  config.mutable_sgd();
  config.mutable_schedule()->set_warmup_steps(4);
  std::unique_ptr<DenseOptimizer> optimizer = DenseOptimizer::Make(config, 1).value();
  for (int64_t step : {1, 2, 4, 9}) {
    std::vector<float> value = {0}, gradient = {1};
    optimizer->Step(step, value, gradient);
    EXPECT_FLOAT_EQ(value[0], -static_cast<float>(LearningRate(config, step)));
  }
  EXPECT_LT(LearningRate(config, 1), LearningRate(config, 4));
}

TEST(DenseOptimizerTest, StatesCarryARunOn) {
  OptimizerConfig config = Config(0.02, 0);
  config.mutable_adam();
  std::unique_ptr<DenseOptimizer> first = DenseOptimizer::Make(config, kSize).value();
  std::vector<float> values = InitialValues();
  for (int64_t step = 1; step <= 10; ++step) first->Step(step, values, Gradients(step));
  std::unique_ptr<DenseOptimizer> second = DenseOptimizer::Make(config, kSize).value();
  ASSERT_EQ(second->states().size(), 2u);
  for (size_t s = 0; s < 2; ++s) {
    EXPECT_EQ(second->states()[s].name, s == 0 ? "exp_avg" : "exp_avg_sq");
    second->states()[s].values = first->states()[s].values;
  }
  for (int64_t step = 11; step <= kSteps; ++step) second->Step(step, values, Gradients(step));
  EXPECT_EQ(values, Train(config));
}

TEST(DenseOptimizerTest, StatesHavePyTorchsNames) {
  auto names = [](const OptimizerConfig& config) {
    std::string names;
    std::unique_ptr<DenseOptimizer> optimizer = DenseOptimizer::Make(config, 1).value();
    for (const DenseState& state : optimizer->states()) names += state.name + " ";
    return names;
  };
  OptimizerConfig config;
  config.mutable_adam()->set_amsgrad(true);
  EXPECT_EQ(names(config), "exp_avg exp_avg_sq max_exp_avg_sq ");
  config.mutable_momentum();
  EXPECT_EQ(names(config), "momentum_buffer ");
}

TEST(DenseOptimizerTest, ClippingLeavesSmallGradientsAndWithstandsHugeOnes) {
  OptimizerConfig plain = Config(0.05, 0), wide = plain;
  plain.mutable_sgd();
  wide.mutable_sgd();
  wide.set_clip_norm(1e6);
  wide.set_clip_value(1e6);
  EXPECT_EQ(Train(plain), Train(wide));
  OptimizerConfig unit = Config(1, 0);
  unit.mutable_sgd();
  unit.set_clip_norm(5);
  std::vector<float> values = {0, 0};
  DenseOptimizer::Make(unit, 2).value()->Step(1, values, std::vector<float>{3e30f, 4e30f});
  EXPECT_FLOAT_EQ(values[0], -3);
  EXPECT_FLOAT_EQ(values[1], -4);
}

TEST(DenseOptimizerTest, SomeRulesAreForRows) {
  OptimizerConfig rowwise, ftrl, group;
  rowwise.mutable_rowwise_adagrad();
  ftrl.mutable_ftrl();
  group.mutable_group_lasso_ftrl();
  for (const auto& [config, name] :
       {std::pair(rowwise, "rowwise_adagrad"), std::pair(ftrl, "ftrl"), std::pair(group, "group_lasso_ftrl")}) {
    Status status = DenseOptimizer::Make(config, 1).status();
    EXPECT_EQ(status.code(), StatusCode::kInvalidArgument);
    EXPECT_THAT(status.message(), ::testing::HasSubstr(std::string(name) + ", which is for rows only"));
  }
}

TEST(DenseOptimizerTest, WithoutARuleItIsAdam) {
  OptimizerConfig none = Config(0.02, 0), adam = none;
  adam.mutable_adam();
  EXPECT_EQ(Train(none), Train(adam));
}

}  // namespace
}  // namespace weir
