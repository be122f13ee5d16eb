#include "embeddings/pooling.h"

#include <random>
#include <vector>

#include <gtest/gtest.h>

#include "tests/embeddings/test_seed.h"

namespace weir {
namespace {

struct Case {
  PooledFeature feature;
  std::vector<int32_t> numbers;
  std::vector<int32_t> offsets;
  int distinct = 0;
  std::vector<float> rows;
};

std::vector<float> RandomFloats(size_t size, std::mt19937_64& random) {
  std::vector<float> floats(size);
  for (float& f : floats) f = std::normal_distribution<float>()(random);
  return floats;
}

// values_max 0 gives each sample one value and no offsets.
void MakeCase(int dim, int samples, int values_max, SparseConfig::Pooling pooling, std::mt19937_64& random,
              Case* made) {
  made->distinct = 1 + static_cast<int>(random() % 20);
  if (values_max > 0) made->offsets = {0};
  for (int i = 0; i < samples; ++i) {
    const int values = values_max == 0 ? 1 : static_cast<int>(random() % (values_max + 1));
    for (int v = 0; v < values; ++v) made->numbers.push_back(static_cast<int32_t>(random() % made->distinct));
    if (values_max > 0) made->offsets.push_back(static_cast<int32_t>(made->numbers.size()));
  }
  made->rows = RandomFloats(made->distinct * dim, random);
  made->feature = {dim, made->numbers, made->offsets, pooling};
}

std::vector<int32_t> Bag(const Case& c, int sample) {
  if (c.offsets.empty()) return {c.numbers[sample]};
  return {c.numbers.begin() + c.offsets[sample], c.numbers.begin() + c.offsets[sample + 1]};
}

void CheckForward(const Case& c, int samples, int stride) {
  const int dim = c.feature.dim;
  std::vector<float> pooled(samples * stride, 77);
  PoolForward(c.feature, c.rows.data(), pooled.data(), stride);
  for (int i = 0; i < samples; ++i) {
    const std::vector<int32_t> bag = Bag(c, i);
    for (int column = 0; column < stride; ++column) {
      float expected = column < dim ? 0 : 77;
      if (column < dim && !bag.empty()) {
        expected = c.rows[bag[0] * dim + column];
        for (size_t v = 1; v < bag.size(); ++v) expected = expected + c.rows[bag[v] * dim + column];
        if (c.feature.pooling == SparseConfig::MEAN) expected = expected / static_cast<float>(bag.size());
      }
      ASSERT_EQ(pooled[i * stride + column], expected) << "sample " << i << " column " << column << " dim " << dim;
    }
  }
}

void CheckBackward(const Case& c, int samples, int stride, std::mt19937_64& random) {
  const int dim = c.feature.dim;
  const std::vector<float> pooled_gradient = RandomFloats(samples * stride, random);
  std::vector<float> gradients = RandomFloats(c.distinct * dim, random);
  std::vector<float> expected = gradients;
  PoolBackward(c.feature, pooled_gradient.data(), stride, gradients.data());
  for (int i = 0; i < samples; ++i) {
    const std::vector<int32_t> bag = Bag(c, i);
    for (int32_t number : bag) {
      for (int column = 0; column < dim; ++column) {
        float g = pooled_gradient[i * stride + column];
        if (c.feature.pooling == SparseConfig::MEAN) g = g / static_cast<float>(bag.size());
        expected[number * dim + column] = expected[number * dim + column] + g;
      }
    }
  }
  ASSERT_EQ(gradients, expected) << "dim " << dim;
}

TEST(PoolingTest, AgreesWithTheScalarOracleBitwise) {
  const uint64_t seed = TestSeed();
  WEIR_TRACE_SEED(seed);
  std::mt19937_64 random(seed);
  for (int dim : {1, 2, 3, 8, 10, 16, 24, 32, 33, 64, 128, 200}) {
    for (int values_max : {0, 1, 5}) {
      for (auto pooling : {SparseConfig::SUM, SparseConfig::MEAN}) {
        const int samples = static_cast<int>(random() % 60);
        Case c;
        MakeCase(dim, samples, values_max, pooling, random, &c);
        const int stride = dim + static_cast<int>(random() % 9);
        ASSERT_NO_FATAL_FAILURE(CheckForward(c, samples, stride));
        ASSERT_NO_FATAL_FAILURE(CheckBackward(c, samples, stride, random));
      }
    }
  }
}

}  // namespace
}  // namespace weir
