// Each rule held bitwise to its scalar statement, with every instruction set; optimizers_torch_test.py holds it to
// PyTorch.
#include <cmath>
#include <cstring>
#include <functional>
#include <random>
#include <vector>

#include <gtest/gtest.h>

#include "base/random.h"
#include "embeddings/bfloat16.h"
#include "embeddings/optimizers/row_optimizer.h"
#include "tests/embeddings/test_seed.h"

namespace weir {
namespace {

// One row's floats, weights then state, and a gradient that is clipped and includes decay.
using Oracle = std::function<void(int dim, float learning_rate, int64_t step, const std::vector<float>& gradient,
                                  std::vector<float>* row)>;

// Sums as the kernels do: in 8 lanes, then in pairs.
template <typename Number>
Number LaneSum(const std::vector<Number>& terms) {
  Number lane[8] = {};
  for (size_t i = 0; i < terms.size(); ++i) lane[i % 8] = lane[i % 8] + terms[i];
  return ((lane[0] + lane[4]) + (lane[2] + lane[6])) + ((lane[1] + lane[5]) + (lane[3] + lane[7]));
}

std::vector<float> Squares(const float* values, int n) {
  std::vector<float> squares;
  for (int i = 0; i < n; ++i) squares.push_back(values[i] * values[i]);
  return squares;
}

void SgdOracle(int dim, float rate, int64_t, const std::vector<float>& g, std::vector<float>* row) {
  for (int i = 0; i < dim; ++i) (*row)[i] = (*row)[i] - rate * g[i];
}

template <bool kNesterov>
void MomentumOracle(int dim, float rate, int64_t, const std::vector<float>& g, std::vector<float>* row) {
  for (int i = 0; i < dim; ++i) {
    float& velocity = (*row)[dim + i];
    velocity = 0.75f * velocity + g[i];
    const float direction = kNesterov ? g[i] + 0.75f * velocity : velocity;
    (*row)[i] = (*row)[i] - rate * direction;
  }
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
  float& total = (*row)[dim];
  total = total + LaneSum(Squares(g.data(), dim)) / static_cast<float>(dim);
  const float multiplier = rate / (std::sqrt(total) + 1e-3f);
  for (int i = 0; i < dim; ++i) (*row)[i] = (*row)[i] - multiplier * g[i];
}

template <bool kAmsgrad>
void AdamOracle(int dim, float rate, int64_t step, const std::vector<float>& g, std::vector<float>* row) {
  const double correction1 = 1 - std::pow(0.8, static_cast<double>(step));
  const double root2 = std::sqrt(1 - std::pow(0.95, static_cast<double>(step)));
  const auto step_size = static_cast<float>(kAmsgrad ? rate / correction1 : double{rate} * root2 / correction1);
  const auto gain1 = static_cast<float>(1 - 0.8), gain2 = static_cast<float>(1 - 0.95);
  for (int i = 0; i < dim; ++i) {
    float& mean = (*row)[dim + i];
    float& square = (*row)[2 * dim + i];
    mean = mean + (g[i] - mean) * gain1;
    square = square + (g[i] * g[i] - square) * gain2;
    float divisor = std::sqrt(square) + 1e-3f;
    if (kAmsgrad) {
      float& largest = (*row)[3 * dim + i];
      largest = std::max(largest, square);
      divisor = std::sqrt(largest) / static_cast<float>(root2) + 1e-3f;
    }
    const float scaled = step_size * mean;
    (*row)[i] = (*row)[i] - scaled / divisor;
  }
}

// alpha 0.125, beta 0.5, l1 0.25, l2 0.5: all exact.
float Curvature(float root) { return (0.5f + root) * 8.0f + 0.5f; }
float Penalty(float x) { return x > 0 ? 0.25f : x < 0 ? -0.25f : 0; }
float Shrunk(float x) { return std::fabs(x) <= 0.25f ? 0 : x - Penalty(x); }

void FtrlOracle(int dim, float rate, int64_t, const std::vector<float>& g, std::vector<float>* row) {
  for (int i = 0; i < dim; ++i) {
    float& w = (*row)[i];
    float& z = (*row)[dim + i];
    float& n = (*row)[2 * dim + i];
    if (n == 0) {
      if (g[i] == 0) continue;
      z = -(w * Curvature(0)) - Penalty(w);
    }
    const float root = std::sqrt(n);
    n = n + g[i] * g[i];
    z = z + rate * 8.0f * g[i] - (std::sqrt(n) - root) * 8.0f * w;
    w = 0.0f - Shrunk(z) / Curvature(std::sqrt(n));
  }
}

// l21 0.25 besides.
void GroupLassoFtrlOracle(int dim, float rate, int64_t, const std::vector<float>& g, std::vector<float>* row) {
  float* w = row->data();
  float* z = w + dim;
  float* n = z + dim;
  const float threshold = 0.25f * std::sqrt(static_cast<float>(dim));
  if (LaneSum(std::vector<float>(n, n + dim)) == 0) {
    if (LaneSum(Squares(g.data(), dim)) == 0) return;
    std::vector<float> pulls;
    for (int i = 0; i < dim; ++i) pulls.push_back(w[i] * Curvature(0));
    const float norm = std::sqrt(LaneSum(Squares(pulls.data(), dim)));
    const float stretch = norm == 0 ? 1 : 1 + threshold / norm;
    for (int i = 0; i < dim; ++i) z[i] = -(pulls[i] * stretch) - Penalty(w[i]);
  }
  std::vector<float> shrunk;
  for (int i = 0; i < dim; ++i) {
    const float root = std::sqrt(n[i]);
    n[i] = n[i] + g[i] * g[i];
    z[i] = z[i] + rate * 8.0f * g[i] - (std::sqrt(n[i]) - root) * 8.0f * w[i];
    shrunk.push_back(Shrunk(z[i]));
  }
  const float norm = std::sqrt(LaneSum(Squares(shrunk.data(), dim)));
  for (int i = 0; i < dim; ++i) {
    w[i] = norm <= threshold ? 0 : 0.0f - shrunk[i] * (1 - threshold / norm) / Curvature(std::sqrt(n[i]));
  }
}

struct RuleCase {
  const char* name;
  std::function<void(OptimizerConfig*)> configure;
  Oracle oracle;
};

void ConfigureAdam(OptimizerConfig* c) {
  c->mutable_adam()->set_eps(1e-3);
  c->mutable_adam()->set_beta1(0.8);
  c->mutable_adam()->set_beta2(0.95);
}

template <typename Ftrl>
void ConfigureFtrl(Ftrl* ftrl) {
  ftrl->set_beta(0.5);
  ftrl->set_l1(0.25);
  ftrl->set_l2(0.5);
}

const RuleCase kCases[] = {
    {"sgd", [](OptimizerConfig* c) { c->mutable_sgd(); }, SgdOracle},
    {"momentum", [](OptimizerConfig* c) { c->mutable_momentum()->set_momentum(0.75); }, MomentumOracle<false>},
    {"momentum",
     [](OptimizerConfig* c) {
       c->mutable_momentum()->set_momentum(0.75);
       c->mutable_momentum()->set_nesterov(true);
     },
     MomentumOracle<true>},
    {"adagrad", [](OptimizerConfig* c) { c->mutable_adagrad()->set_eps(1e-3); }, AdaGradOracle},
    {"rowwise_adagrad", [](OptimizerConfig* c) { c->mutable_rowwise_adagrad()->set_eps(1e-3); }, RowWiseAdaGradOracle},
    {"adam", ConfigureAdam, AdamOracle<false>},
    {"adam",
     [](OptimizerConfig* c) {
       ConfigureAdam(c);
       c->mutable_adam()->set_amsgrad(true);
     },
     AdamOracle<true>},
    {"ftrl", [](OptimizerConfig* c) { ConfigureFtrl(c->mutable_ftrl()); }, FtrlOracle},
    {"group_lasso_ftrl",
     [](OptimizerConfig* c) {
       ConfigureFtrl(c->mutable_group_lasso_ftrl());
       c->mutable_group_lasso_ftrl()->set_l21(0.25);
     },
     GroupLassoFtrlOracle},
};

struct Variant {
  float weight_decay = 0;
  float clip_value = 0;
  float clip_norm = 0;
};

OptimizerConfig Config(const RuleCase& rule, const Variant& variant = {}) {
  OptimizerConfig config;
  config.set_learning_rate(0.125);  // exact in float32
  config.set_weight_decay(variant.weight_decay);
  config.set_clip_value(variant.clip_value);
  config.set_clip_norm(variant.clip_norm);
  rule.configure(&config);
  return config;
}

// What a rule is given for `gradient`.
std::vector<float> Prepared(const Variant& variant, std::vector<float> gradient, const std::vector<float>& row) {
  if (variant.clip_value != 0) {
    for (float& g : gradient) g = std::max(-variant.clip_value, std::min(variant.clip_value, g));
  }
  if (variant.clip_norm != 0) {
    std::vector<double> squares;
    for (float g : gradient) squares.push_back(double{g} * double{g});
    const double share = variant.clip_norm / (std::sqrt(LaneSum(squares)) + 1e-6);
    for (float& g : gradient) g = share < 1 ? g * static_cast<float>(share) : g;
  }
  for (size_t i = 0; i < gradient.size(); ++i) {
    if (variant.weight_decay != 0) gradient[i] = gradient[i] + variant.weight_decay * row[i];
  }
  return gradient;
}

constexpr uint64_t kTableSeed = 7;

// The weights of a key after `step`, as bfloat16 keeps them.
void RoundOracle(int dim, uint64_t key, int64_t step, std::vector<float>* row) {
  const uint64_t step_seed = RandomBits(kTableSeed, RandomPurpose::kRounding, step);
  for (int i = 0; i < dim; ++i) {
    const uint64_t draw = RandomBits(step_seed, RandomPurpose::kRounding, key, i / 4) >> (16 * (i % 4)) & 0xffff;
    const uint32_t bits = std::bit_cast<uint32_t>((*row)[i]);
    const uint32_t lower = bits & 0xffff, upper = bits - lower;
    (*row)[i] = std::bit_cast<float>(lower + draw < 0x10000 ? upper : upper + 0x10000);
  }
}

// Rows as a table keeps them.
class StoredRows {
 public:
  StoredRows(const RowLayout& layout, const std::vector<std::vector<float>>& rows)
      : layout_(layout), weights_(rows.size() * layout.weight_bytes()), state_(rows.size() * layout.state_width()) {
    for (size_t i = 0; i < rows.size(); ++i) {
      refs_.push_back({weights_.data() + i * layout.weight_bytes(), state_.data() + i * layout.state_width(), i * 77});
      if (layout.weight_type == TableConfig::BFLOAT16) {
        StoreBfloat16(rows[i].data(), layout.dim, refs_[i].weights);
      } else {
        std::memcpy(refs_[i].weights, rows[i].data(), layout.weight_bytes());
      }
      std::copy(rows[i].begin() + layout.dim, rows[i].end(), refs_[i].state);
    }
  }

  std::span<const RowRef> refs() const { return refs_; }

  // Weights, then state.
  std::vector<float> Row(int i) const {
    std::vector<float> row(layout_.dim);
    if (layout_.weight_type == TableConfig::BFLOAT16) {
      LoadBfloat16(refs_[i].weights, layout_.dim, row.data());
    } else {
      std::memcpy(row.data(), refs_[i].weights, layout_.weight_bytes());
    }
    row.insert(row.end(), refs_[i].state, refs_[i].state + layout_.state_width());
    return row;
  }

 private:
  RowLayout layout_;
  std::vector<char> weights_;
  std::vector<float> state_;
  std::vector<RowRef> refs_;
};

void CheckRule(const RuleCase& rule, int dim, const Variant& variant, TableConfig::WeightType type, Isa isa,
               std::mt19937_64& random) {
  const OptimizerConfig config = Config(rule, variant);
  ASSERT_STREQ(RowRuleName(config), rule.name);
  const RowLayout layout = MakeRowLayout(dim, config, type);
  const auto optimizer = MakeRowOptimizer(layout, config, kTableSeed, isa);

  const int num_rows = 5;
  std::normal_distribution<float> normal;
  std::vector<std::vector<float>> expected(num_rows, std::vector<float>(layout.width(), 0));
  for (auto& row : expected) {
    for (int i = 0; i < dim; ++i) row[i] = Bfloat16ToFloat(NearestBfloat16(normal(random)));
  }
  StoredRows rows(layout, expected);
  for (int64_t step = 1; step <= 10; ++step) {
    std::vector<float> gradients(num_rows * dim);
    for (float& g : gradients) g = random() % 8 == 0 ? 0 : normal(random);
    optimizer->BeginStep(step);
    optimizer->Update(rows.refs(), gradients.data());
    for (int r = 0; r < num_rows; ++r) {
      const std::vector<float> gradient(gradients.begin() + r * dim, gradients.begin() + (r + 1) * dim);
      rule.oracle(dim, 0.125f, step, Prepared(variant, gradient, expected[r]), &expected[r]);
      if (type == TableConfig::BFLOAT16) RoundOracle(dim, r * 77, step, &expected[r]);
      ASSERT_EQ(rows.Row(r), expected[r]) << rule.name << " dim " << dim << " step " << step << " row " << r << " "
                                          << IsaName(isa) << " " << config.ShortDebugString();
    }
  }
}

TEST(OptimizersTest, AgreeWithTheirScalarOraclesBitwise) {
  const uint64_t seed = TestSeed();
  WEIR_TRACE_SEED(seed);
  std::mt19937_64 random(seed);
  const Variant variants[] = {{}, {0.01f, 0, 0}, {0, 0.75f, 0}, {0, 0, 1.5f}, {0.01f, 0.75f, 1.5f}};
  for (const RuleCase& rule : kCases) {
    for (int dim : {1, 2, 7, 8, 9, 10, 16, 24, 31, 32, 64, 100, 128}) {
      for (const Variant& variant : variants) {
        for (Isa isa : KnownIsas()) {
          for (auto type : {TableConfig::FLOAT32, TableConfig::BFLOAT16}) {
            ASSERT_NO_FATAL_FAILURE(CheckRule(rule, dim, variant, type, isa, random));
          }
        }
      }
    }
  }
}

// One update of one float32 row.
std::vector<float> Trained(const OptimizerConfig& config, int64_t step, std::vector<float> row,
                           const std::vector<float>& gradient) {
  const RowLayout layout = MakeRowLayout(static_cast<int>(gradient.size()), config);
  row.resize(layout.width());
  StoredRows rows(layout, {row});
  const auto optimizer = MakeRowOptimizer(layout, config, kTableSeed);
  optimizer->BeginStep(step);
  optimizer->Update(rows.refs(), gradient.data());
  return rows.Row(0);
}

TEST(OptimizersTest, FollowTheSchedule) {
  for (const RuleCase& rule : kCases) {
    OptimizerConfig config = Config(rule);
    config.mutable_schedule()->set_warmup_steps(4);
    const float half = Trained(config, 2, {1}, {0.5})[0];
    if (config.has_ftrl() || config.has_group_lasso_ftrl()) {
      // The schedule scales gradients, not alpha.
      const float whole = Trained(Config(rule), 2, {1}, {0.5})[0];
      EXPECT_LT(whole, half) << rule.name;
    } else {
      OptimizerConfig constant = Config(rule);
      constant.set_learning_rate(0.0625);
      EXPECT_EQ(half, Trained(constant, 2, {1}, {0.5})[0]) << rule.name;
    }
    EXPECT_LT(half, 1) << rule.name;
  }
}

TEST(OptimizersTest, ZeroGradientAndEmptyAccumulatorStayFinite) {
  for (const RuleCase& rule : kCases) {
    EXPECT_EQ(Trained(Config(rule), 1, {1}, {0})[0], 1) << rule.name;
  }
}

TEST(OptimizersTest, ANaNInTheGradientStaysInItsRowAndIsNotClippedAway) {
  for (const RuleCase& rule : kCases) {
    const OptimizerConfig config = Config(rule, {0, 0.5f, 1});
    EXPECT_TRUE(std::isnan(Trained(config, 1, {1, 1}, {std::nanf(""), 1})[0])) << rule.name;
  }
}

TEST(OptimizersTest, ClippingTheNormWithstandsSquaresBeyondFloat) {
  OptimizerConfig config;
  config.set_learning_rate(1);
  config.set_clip_norm(5);
  config.mutable_sgd();
  const std::vector<float> row = Trained(config, 1, {0, 0}, {3e30f, 4e30f});
  EXPECT_FLOAT_EQ(row[0], -3);
  EXPECT_FLOAT_EQ(row[1], -4);
}

TEST(OptimizersTest, FtrlGoesOnFromTheInitialWeight) {
  OptimizerConfig config;
  config.set_learning_rate(0.1);
  config.mutable_ftrl()->set_l1(0.3);
  config.mutable_ftrl()->set_l2(0.2);
  // One step from w with a gradient g moves by g over the curvature.
  EXPECT_NEAR(Trained(config, 1, {0.7f}, {0.01f})[0], 0.7 - 0.01 / ((1 + 0.01) / 0.1 + 0.2), 1e-6);
  EXPECT_EQ(Trained(config, 1, {0}, {0.2f})[0], 0) << "|z| = 0.2 is not above l1";

  OptimizerConfig group = config;
  group.mutable_group_lasso_ftrl()->set_l1(0.3);
  group.mutable_group_lasso_ftrl()->set_l21(0.5);
  const std::vector<float> row = Trained(group, 1, {0.7f, -0.4f}, {1e-6f, 0});
  EXPECT_NEAR(row[0], 0.7, 1e-5);
  EXPECT_NEAR(row[1], -0.4, 1e-5);
}

TEST(OptimizersTest, GroupLassoTurnsWholeRowsToZero) {
  OptimizerConfig config;
  config.set_learning_rate(0.1);
  config.mutable_group_lasso_ftrl()->set_l21(1);
  const float threshold = std::sqrt(2.0f);  // of the norm of z, which is the gradient here
  const std::vector<float> below = Trained(config, 1, {0, 0}, {0.99f * threshold * 0.6f, 0.99f * threshold * 0.8f});
  EXPECT_EQ(below[0], 0);
  EXPECT_EQ(below[1], 0);
  const std::vector<float> above = Trained(config, 1, {0, 0}, {1.01f * threshold * 0.6f, 1.01f * threshold * 0.8f});
  EXPECT_LT(above[0], 0);
  EXPECT_LT(above[1], 0);
}

TEST(OptimizersTest, BFloat16LearnsFromStepsBelowItsResolution) {
  OptimizerConfig config;
  config.set_learning_rate(1e-4);
  config.mutable_sgd();
  const RowLayout layout = MakeRowLayout(64, config, TableConfig::BFLOAT16);
  StoredRows rows(layout, {std::vector<float>(64, 1)});
  const auto optimizer = MakeRowOptimizer(layout, config, kTableSeed);
  const std::vector<float> gradient(64, 1);
  for (int64_t step = 1; step <= 2000; ++step) {
    optimizer->BeginStep(step);
    optimizer->Update(rows.refs(), gradient.data());
  }
  double mean = 0;
  for (float w : rows.Row(0)) mean += w / 64;
  // Rounded to the nearest, 1 - 1e-4 would be 1 for ever. A step's rounding has a deviation of at most 2^-9 * sqrt(1e-4
  // * 2^8); the mean over 64 columns and 2000 steps has 0.0017.
  EXPECT_NEAR(mean, 1 - 0.2, 0.01);
}

}  // namespace
}  // namespace weir
