#include "models/layers/hidden_kernel.h"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <tuple>
#include <vector>

#include <gtest/gtest.h>

#include "base/random.h"

namespace weir {
namespace {

std::vector<float> Draws(size_t n, uint64_t seed) {
  std::vector<float> values(n);
  for (size_t i = 0; i < n; ++i) values[i] = 2 * UnitFloat(RandomBits(seed, RandomPurpose::kSampling, i)) - 1;
  return values;
}

struct Layer {
  int64_t samples;
  int64_t width;
  float rate;
  std::vector<float> products = Draws(static_cast<size_t>(samples * width), 1);
  std::vector<float> bias = Draws(static_cast<size_t>(width), 2);
  std::vector<int64_t> sample_index = std::vector<int64_t>(static_cast<size_t>(samples));

  Layer(int64_t s, int64_t w, float r) : samples(s), width(w), rate(r) {
    std::iota(sample_index.begin(), sample_index.end(), 100);
  }
  DropoutDraw Draw() const { return {rate, 11, 5, sample_index.data()}; }
  std::vector<float> Activate() const {
    std::vector<float> outputs = products;
    ActivateHidden(samples, width, bias.data(), Draw(), outputs.data());
    return outputs;
  }
};

// What the kernel stands for, one unit at a time.
float OracleOutput(const Layer& layer, int64_t sample, int64_t unit) {
  float sum = layer.products[sample * layer.width + unit] + layer.bias[unit];
  float relu = sum > 0 ? sum : 0;
  if (layer.rate == 0) return relu;
  uint64_t place = static_cast<uint64_t>(layer.sample_index[sample] * layer.width + unit);
  float draw = UnitFloat(RandomBits(11, RandomPurpose::kDropout, 5, place));
  return draw >= layer.rate ? relu * (1 / (1 - layer.rate)) : 0;
}

class HiddenKernelTest : public ::testing::TestWithParam<std::tuple<int64_t, int64_t, float>> {};

TEST_P(HiddenKernelTest, ForwardHasTheBitsOfTheOracle) {
  auto [samples, width, rate] = GetParam();
  Layer layer(samples, width, rate);
  std::vector<float> outputs = layer.Activate();
  for (int64_t i = 0; i < samples; ++i) {
    for (int64_t u = 0; u < width; ++u) ASSERT_EQ(outputs[i * width + u], OracleOutput(layer, i, u)) << i << " " << u;
  }
}

TEST_P(HiddenKernelTest, BackwardIsTheOracles) {
  auto [samples, width, rate] = GetParam();
  Layer layer(samples, width, rate);
  std::vector<float> outputs = layer.Activate();
  std::vector<float> upstream = Draws(outputs.size(), 3), gradients(outputs.size()), bias_gradient(width, 99.0f);
  DeactivateHidden(samples, width, rate, upstream.data(), outputs.data(), gradients.data(), bias_gradient.data());
  for (int64_t u = 0; u < width; ++u) {
    double sum = 0;
    for (int64_t i = 0; i < samples; ++i) {
      int64_t at = i * width + u;
      float expected = OracleOutput(layer, i, u) == 0 ? 0 : upstream[at] * (1 / (1 - rate));
      ASSERT_EQ(gradients[at], expected);
      sum += expected;
    }
    ASSERT_NEAR(bias_gradient[u], sum, 1e-5 * std::max<double>(1, samples / 16.0));
  }
}

INSTANTIATE_TEST_SUITE_P(Shapes, HiddenKernelTest,
                         ::testing::Combine(::testing::Values(0, 1, 63, 64, 130), ::testing::Values(1, 7, 16, 65),
                                            ::testing::Values(0.0f, 0.3f)));

TEST(DropoutTest, DropsTheShareThatIsAskedFor) {
  Layer layer(2000, 100, 0.3f);
  layer.products.assign(layer.products.size(), 1.0f);
  layer.bias.assign(layer.bias.size(), 0.0f);
  std::vector<float> outputs = layer.Activate();
  double dropped = static_cast<double>(std::count(outputs.begin(), outputs.end(), 0.0f)) / outputs.size();
  double mean = std::accumulate(outputs.begin(), outputs.end(), 0.0) / outputs.size();
  EXPECT_NEAR(dropped, 0.3, 0.005);  // 5 standard deviations of 200,000 draws
  EXPECT_NEAR(mean, 1.0, 0.008);
}

TEST(DropoutTest, StepAndSeedGiveOtherMasks) {
  Layer layer(4, 64, 0.5f);
  std::vector<float> outputs = layer.Activate(), other_step = layer.products, other_seed = layer.products;
  DropoutDraw draw = layer.Draw();
  draw.step = 6;
  ActivateHidden(4, 64, layer.bias.data(), draw, other_step.data());
  draw = layer.Draw();
  draw.seed = 12;
  ActivateHidden(4, 64, layer.bias.data(), draw, other_seed.data());
  EXPECT_NE(outputs, other_step);
  EXPECT_NE(outputs, other_seed);
  EXPECT_EQ(outputs, layer.Activate());
}

TEST(HiddenKernelNanTest, ANanPasses) {
  const float nan = std::nanf("");
  std::vector<float> outputs = {nan, 1.0f}, bias = {0, 0};
  ActivateHidden(1, 2, bias.data(), DropoutDraw{}, outputs.data());
  EXPECT_TRUE(std::isnan(outputs[0]));
}

}  // namespace
}  // namespace weir
