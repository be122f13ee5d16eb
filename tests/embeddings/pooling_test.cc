#include "embeddings/pooling.h"

#include <bit>
#include <cmath>
#include <limits>
#include <random>
#include <vector>

#include <gtest/gtest.h>

#include "tests/embeddings/test_seed.h"

namespace weir {
namespace {

constexpr SparseConfig::Pooling kPoolings[] = {SparseConfig::SUM, SparseConfig::MEAN, SparseConfig::WEIGHTED_SUM,
                                               SparseConfig::MAX, SparseConfig::NONE};
constexpr float kOutside = 77;  // stands between the pooled vectors, where nothing may be written

struct Case {
  PooledFeature feature;
  std::vector<int32_t> numbers;
  std::vector<int32_t> offsets;
  std::vector<float> weights;
  int distinct = 0;
  std::vector<float> rows;

  // The values of a sample, as places in `numbers`.
  std::vector<int> Bag(int sample) const {
    std::vector<int> bag;
    const int begin = offsets.empty() ? sample : offsets[sample];
    const int end = offsets.empty() ? sample + 1 : offsets[sample + 1];
    for (int at = begin; at < end; ++at) bag.push_back(at);
    return bag;
  }
  float Row(int at, int column) const { return rows[numbers[at] * feature.dim + column]; }
};

// A few values, so that MAX has ties and sums cancel.
std::vector<float> RandomFloats(size_t size, std::mt19937_64& random) {
  std::vector<float> floats(size);
  const bool coarse = random() % 2 == 0;
  for (float& f : floats) {
    f = coarse ? static_cast<float>(static_cast<int>(random() % 5) - 2) * 0.3f
               : std::normal_distribution<float>()(random);
  }
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
  made->weights = RandomFloats(made->numbers.size(), random);
  made->feature = {dim, made->numbers, made->offsets, pooling, {}, 0};
  if (pooling == SparseConfig::WEIGHTED_SUM) made->feature.weights = made->weights;
  if (pooling == SparseConfig::NONE) made->feature.max_length = 1 + static_cast<int>(random() % 4);
}

// ---------------------------------------------------------------- the oracle: one float at a time

float PooledAt(const Case& c, int sample, int column) {
  const std::vector<int> bag = c.Bag(sample);
  if (c.feature.pooling == SparseConfig::NONE) {
    const auto place = static_cast<size_t>(column / c.feature.dim);
    return place < bag.size() ? c.Row(bag[place], column % c.feature.dim) : 0;
  }
  if (bag.empty()) return 0;
  float pooled = 0;
  for (size_t v = 0; v < bag.size(); ++v) {
    const float row = c.Row(bag[v], column);
    const float term = c.feature.pooling == SparseConfig::WEIGHTED_SUM ? c.weights[bag[v]] * row : row;
    if (v == 0) {
      pooled = term;
    } else if (c.feature.pooling == SparseConfig::MAX) {
      pooled = term > pooled ? term : pooled;
    } else {
      pooled = pooled + term;
    }
  }
  return c.feature.pooling == SparseConfig::MEAN ? pooled / static_cast<float>(bag.size()) : pooled;
}

// Adds the gradient of one pooled column to the rows that it came from.
void AddGradient(const Case& c, int sample, int column, float g, std::vector<float>* gradients) {
  const int dim = c.feature.dim;
  const std::vector<int> bag = c.Bag(sample);
  auto add = [&](int at, int row_column, float term) {
    float& to = (*gradients)[c.numbers[at] * dim + row_column];
    to = to + term;
  };
  if (c.feature.pooling == SparseConfig::NONE) {
    const auto place = static_cast<size_t>(column / dim);
    if (place < bag.size()) add(bag[place], column % dim, g);
    return;
  }
  if (c.feature.pooling == SparseConfig::MAX) {
    if (bag.empty()) return;
    int winner = bag[0];
    for (int at : bag) winner = c.Row(at, column) > c.Row(winner, column) ? at : winner;
    add(winner, column, g);
    return;
  }
  for (int at : bag) {
    if (c.feature.pooling == SparseConfig::SUM) add(at, column, g);
    if (c.feature.pooling == SparseConfig::MEAN) add(at, column, g / static_cast<float>(bag.size()));
    if (c.feature.pooling == SparseConfig::WEIGHTED_SUM) add(at, column, c.weights[at] * g);
  }
}

// ---------------------------------------------------------------- the checks

std::vector<uint32_t> Bits(const std::vector<float>& floats) {
  std::vector<uint32_t> bits;
  for (float f : floats) bits.push_back(std::bit_cast<uint32_t>(f));
  return bits;
}

void CheckForward(const Case& c, int samples, int stride, Isa isa) {
  std::vector<float> pooled(samples * stride, kOutside);
  PoolForward(c.feature, c.rows.data(), pooled.data(), stride, isa);
  std::vector<float> expected(samples * stride, kOutside);
  for (int i = 0; i < samples; ++i) {
    for (int column = 0; column < c.feature.width(); ++column) expected[i * stride + column] = PooledAt(c, i, column);
  }
  ASSERT_EQ(Bits(pooled), Bits(expected));
}

void CheckBackward(const Case& c, int samples, int stride, Isa isa, std::mt19937_64& random) {
  const std::vector<float> pooled_gradient = RandomFloats(samples * stride, random);
  std::vector<float> gradients = RandomFloats(c.distinct * c.feature.dim, random);
  std::vector<float> expected = gradients;
  PoolBackward(c.feature, c.rows.data(), pooled_gradient.data(), stride, gradients.data(), isa);
  for (int i = 0; i < samples; ++i) {
    for (int column = 0; column < c.feature.width(); ++column) {
      AddGradient(c, i, column, pooled_gradient[i * stride + column], &expected);
    }
  }
  // NONE: the oracle goes by columns, place after place, as the kernel does; so all sums have the same order.
  ASSERT_EQ(Bits(gradients), Bits(expected));
}

TEST(PoolingTest, AgreesWithTheScalarOracleBitwise) {
  const uint64_t seed = TestSeed();
  WEIR_TRACE_SEED(seed);
  std::mt19937_64 random(seed);
  for (int dim : {1, 2, 3, 8, 10, 16, 24, 32, 33, 64, 65, 128, 200}) {
    for (int values_max : {0, 1, 5}) {
      for (auto pooling : kPoolings) {
        SCOPED_TRACE(SparseConfig::Pooling_Name(pooling) + " dim " + std::to_string(dim) + " values " +
                     std::to_string(values_max));
        const int samples = static_cast<int>(random() % 60);
        Case c;
        MakeCase(dim, samples, values_max, pooling, random, &c);
        const int stride = static_cast<int>(c.feature.width()) + static_cast<int>(random() % 9);
        for (Isa isa : KnownIsas()) {
          SCOPED_TRACE(IsaName(isa));
          ASSERT_NO_FATAL_FAILURE(CheckForward(c, samples, stride, isa));
          ASSERT_NO_FATAL_FAILURE(CheckBackward(c, samples, stride, isa, random));
        }
      }
    }
  }
}

// Columns of one sample, rows 0 and 1 in this order.
struct Pair {
  std::vector<float> pooled;
  std::vector<float> gradients;  // [2, dim], from a pooled gradient of 1, 2, 3, ...
};

Pair PoolPair(SparseConfig::Pooling pooling, const std::vector<float>& rows, const std::vector<float>& weights,
              int max_length, Isa isa) {
  const int dim = static_cast<int>(rows.size() / 2);
  const std::vector<int32_t> numbers = {0, 1}, offsets = {0, 2};
  const PooledFeature feature{dim, numbers, offsets, pooling, weights, max_length};
  Pair pair{std::vector<float>(feature.width(), kOutside), std::vector<float>(rows.size())};
  PoolForward(feature, rows.data(), pair.pooled.data(), feature.width(), isa);
  std::vector<float> gradient(feature.width());
  for (size_t c = 0; c < gradient.size(); ++c) gradient[c] = static_cast<float>(c + 1);
  PoolBackward(feature, rows.data(), gradient.data(), feature.width(), pair.gradients.data(), isa);
  return pair;
}

TEST(PoolingTest, TiesOfMaxGoToTheFirstValue) {
  for (Isa isa : KnownIsas()) {
    SCOPED_TRACE(IsaName(isa));
    const Pair pair = PoolPair(SparseConfig::MAX, {1, 5, -2, 0.0f, 3, 5, -1, -0.0f}, {}, 0, isa);
    EXPECT_EQ(pair.pooled, (std::vector<float>{3, 5, -1, 0}));
    EXPECT_EQ(pair.gradients, (std::vector<float>{0, 2, 0, 4, 1, 0, 3, 0}));
  }
}

TEST(PoolingTest, ANanWinsOnlyInTheFirstPlace) {
  const float nan = std::numeric_limits<float>::quiet_NaN();
  for (Isa isa : KnownIsas()) {
    SCOPED_TRACE(IsaName(isa));
    const Pair pair = PoolPair(SparseConfig::MAX, {nan, 1, 2, nan}, {}, 0, isa);
    EXPECT_TRUE(std::isnan(pair.pooled[0]));
    EXPECT_EQ(pair.pooled[1], 1);
    EXPECT_EQ(pair.gradients, (std::vector<float>{1, 2, 0, 0}));
  }
}

TEST(PoolingTest, WeightsMayBeZeroAndNegative) {
  for (Isa isa : KnownIsas()) {
    SCOPED_TRACE(IsaName(isa));
    const Pair pair = PoolPair(SparseConfig::WEIGHTED_SUM, {1, 2, 10, 20}, {0, -0.5f}, 0, isa);
    EXPECT_EQ(pair.pooled, (std::vector<float>{-5, -10}));
    EXPECT_EQ(pair.gradients, (std::vector<float>{0, 0, -0.5f, -1}));
  }
}

TEST(PoolingTest, ASequenceIsPaddedAndCut) {
  for (Isa isa : KnownIsas()) {
    SCOPED_TRACE(IsaName(isa));
    const Pair padded = PoolPair(SparseConfig::NONE, {1, 2, 3, 4}, {}, 3, isa);
    EXPECT_EQ(padded.pooled, (std::vector<float>{1, 2, 3, 4, 0, 0}));
    EXPECT_EQ(padded.gradients, (std::vector<float>{1, 2, 3, 4}));
    const Pair cut = PoolPair(SparseConfig::NONE, {1, 2, 3, 4}, {}, 1, isa);
    EXPECT_EQ(cut.pooled, (std::vector<float>{1, 2}));
    EXPECT_EQ(cut.gradients, (std::vector<float>{1, 2, 0, 0}));
  }
}

}  // namespace
}  // namespace weir
