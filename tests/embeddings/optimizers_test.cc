// Each rule held bitwise to its scalar statement; optimizers_torch_test.py holds it to PyTorch.
#include <cmath>
#include <functional>
#include <random>
#include <vector>

#include <gtest/gtest.h>

#include "embeddings/optimizers/row_optimizer.h"
#include "tests/embeddings/test_seed.h"

namespace weir {
namespace {

// One row's floats, weights then state, and a gradient that includes decay.
using Oracle = std::function<void(int dim, float learning_rate, int64_t step, const std::vector<float>& gradient,
                                  std::vector<float>* row)>;

void SgdOracle(int dim, float rate, int64_t, const std::vector<float>& g, std::vector<float>* row) {
  for (int i = 0; i < dim; ++i) (*row)[i] = (*row)[i] - rate * g[i];
}

void AdaGradOracle(int dim, float rate, int64_t, const std::vector<float>& g, std::vector<float>* row) {
  for (int i = 0; i < dim; ++i) {
    float& sum = (*row)[dim + i];
    sum = sum + g[i] * g[i];
    const float scaled = rate * g[i];
    (*row)[i] = (*row)[i] - scaled / (std::sqrt(sum) + 1e-3f);
  }
}

void RowWiseAdaGradOracle(int dim, float rate, int64_t, const std::vector<float>& g, std::vector<float>* row) {
  float lane[8] = {};
  for (int i = 0; i < dim; ++i) lane[i % 8] = lane[i % 8] + g[i] * g[i];
  const float sum = ((lane[0] + lane[4]) + (lane[2] + lane[6])) + ((lane[1] + lane[5]) + (lane[3] + lane[7]));
  float& total = (*row)[dim];
  total = total + sum / static_cast<float>(dim);
  const float multiplier = rate / (std::sqrt(total) + 1e-3f);
  for (int i = 0; i < dim; ++i) (*row)[i] = (*row)[i] - multiplier * g[i];
}

void AdamOracle(int dim, float rate, int64_t step, const std::vector<float>& g, std::vector<float>* row) {
  const double correction1 = 1 - std::pow(0.8, static_cast<double>(step));
  const double correction2 = 1 - std::pow(0.95, static_cast<double>(step));
  const auto step_size = static_cast<float>(double{rate} * std::sqrt(correction2) / correction1);
  const auto gain1 = static_cast<float>(1 - 0.8), gain2 = static_cast<float>(1 - 0.95);
  for (int i = 0; i < dim; ++i) {
    float& mean = (*row)[dim + i];
    float& square = (*row)[2 * dim + i];
    mean = mean + (g[i] - mean) * gain1;
    square = square + (g[i] * g[i] - square) * gain2;
    const float scaled = step_size * mean;
    (*row)[i] = (*row)[i] - scaled / (std::sqrt(square) + 1e-3f);
  }
}

struct RuleCase {
  const char* name;
  std::function<void(OptimizerConfig*)> configure;
  Oracle oracle;
};

const RuleCase kCases[] = {
    {"sgd", [](OptimizerConfig* c) { c->mutable_sgd(); }, SgdOracle},
    {"adagrad", [](OptimizerConfig* c) { c->mutable_adagrad()->set_eps(1e-3); }, AdaGradOracle},
    {"rowwise_adagrad", [](OptimizerConfig* c) { c->mutable_rowwise_adagrad()->set_eps(1e-3); }, RowWiseAdaGradOracle},
    {"adam",
     [](OptimizerConfig* c) {
       c->mutable_adam()->set_eps(1e-3);
       c->mutable_adam()->set_beta1(0.8);
       c->mutable_adam()->set_beta2(0.95);
     },
     AdamOracle},
};

OptimizerConfig Config(const RuleCase& rule, double weight_decay) {
  OptimizerConfig config;
  config.set_learning_rate(0.125);  // exact in float32
  config.set_weight_decay(weight_decay);
  rule.configure(&config);
  return config;
}

// Refers to rows that hold weights and then state.
std::vector<RowRef> Refs(int dim, std::vector<std::vector<float>>* rows) {
  std::vector<RowRef> refs;
  for (auto& row : *rows) refs.push_back({row.data(), row.data() + dim, refs.size()});
  return refs;
}

void CheckRule(const RuleCase& rule, int dim, double weight_decay, Isa isa, std::mt19937_64& random) {
  const OptimizerConfig config = Config(rule, weight_decay);
  ASSERT_STREQ(RowRuleName(config), rule.name);
  const RowLayout layout = MakeRowLayout(dim, config);
  const auto optimizer = MakeRowOptimizer(layout, config, 7, isa);
  const int width = layout.width();

  const int num_rows = 5;
  std::vector<std::vector<float>> rows(num_rows, std::vector<float>(width, 0));
  for (auto& row : rows) {
    for (int i = 0; i < dim; ++i) row[i] = std::normal_distribution<float>()(random);
  }
  std::vector<std::vector<float>> expected = rows;
  for (int64_t step = 1; step <= 10; ++step) {
    std::vector<float> gradients(num_rows * dim);
    for (float& g : gradients) g = std::normal_distribution<float>()(random);
    optimizer->BeginStep(step);
    optimizer->Update(Refs(dim, &rows), gradients.data());
    for (int r = 0; r < num_rows; ++r) {
      std::vector<float> g(gradients.begin() + r * dim, gradients.begin() + (r + 1) * dim);
      if (weight_decay != 0) {
        for (int i = 0; i < dim; ++i) g[i] = g[i] + static_cast<float>(weight_decay) * expected[r][i];
      }
      rule.oracle(dim, 0.125f, step, g, &expected[r]);
      ASSERT_EQ(rows[r], expected[r]) << rule.name << " dim " << dim << " step " << step << " row " << r << " "
                                      << IsaName(isa);
    }
  }
}

TEST(OptimizersTest, AgreeWithTheirScalarOraclesBitwise) {
  const uint64_t seed = TestSeed();
  WEIR_TRACE_SEED(seed);
  std::mt19937_64 random(seed);
  for (const RuleCase& rule : kCases) {
    for (int dim : {1, 2, 7, 8, 9, 10, 16, 24, 31, 32, 64, 100, 128}) {
      for (double decay : {0.0, 0.01}) {
        for (Isa isa : KnownIsas()) ASSERT_NO_FATAL_FAILURE(CheckRule(rule, dim, decay, isa, random));
      }
    }
  }
}

TEST(OptimizersTest, FollowTheSchedule) {
  for (const RuleCase& rule : kCases) {
    OptimizerConfig config = Config(rule, 0);
    config.mutable_schedule()->set_warmup_steps(4);
    OptimizerConfig half = Config(rule, 0);
    half.set_learning_rate(0.0625);
    std::vector<std::vector<float>> a = {{1, 0, 0}}, b = a;
    const float gradient = 0.5;
    const auto scheduled = MakeRowOptimizer(MakeRowLayout(1, config), config, 7);
    const auto constant = MakeRowOptimizer(MakeRowLayout(1, half), half, 7);
    scheduled->BeginStep(2);
    constant->BeginStep(2);
    scheduled->Update(Refs(1, &a), &gradient);
    constant->Update(Refs(1, &b), &gradient);
    EXPECT_EQ(a, b) << rule.name;
    EXPECT_LT(a[0][0], 1) << rule.name;
  }
}

TEST(OptimizersTest, ZeroGradientAndEmptyAccumulatorStayFinite) {
  for (const RuleCase& rule : kCases) {
    const OptimizerConfig config = Config(rule, 0);
    const auto optimizer = MakeRowOptimizer(MakeRowLayout(1, config), config, 7);
    std::vector<std::vector<float>> rows = {{1, 0, 0}};
    const float gradient = 0;
    optimizer->BeginStep(1);
    optimizer->Update(Refs(1, &rows), &gradient);
    EXPECT_EQ(rows[0][0], 1) << rule.name;
  }
}

}  // namespace
}  // namespace weir
