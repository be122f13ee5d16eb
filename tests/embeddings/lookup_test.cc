#include "embeddings/lookup.h"

#include <algorithm>
#include <cmath>
#include <random>
#include <unordered_map>
#include <vector>

#include <gtest/gtest.h>

#include "tests/embeddings/test_seed.h"

namespace weir {
namespace {

// Features a, c and g share table 0, b and e table 1; table 2 has no feature.
FeatureSet Features() {
  FeatureSet features;
  auto add = [&](const char* name, int table, int dim, SparseConfig::Pooling pooling, int max_length = 0) {
    features.sparse.push_back({name, table, dim, features.pooled_dim, pooling, 0, max_length});
    features.pooled_dim += features.sparse.back().pooled_dim();
  };
  add("a", 0, 4, SparseConfig::SUM);
  add("b", 1, 16, SparseConfig::MEAN);
  add("c", 0, 4, SparseConfig::MEAN);
  add("d", 3, 1, SparseConfig::SUM);
  add("e", 1, 16, SparseConfig::WEIGHTED_SUM);
  add("f", 3, 1, SparseConfig::MAX);
  add("g", 0, 4, SparseConfig::NONE, 3);
  return features;
}

size_t NumFeatures() { return Features().sparse.size(); }

const std::vector<int> kDims = {4, 16, 8, 1};

Batch RandomBatch(int64_t samples, int values_max, uint64_t keys, std::mt19937_64& random) {
  Batch batch;
  batch.num_samples = samples;
  const FeatureSet features = Features();
  for (const SparseFeature& feature : features.sparse) {
    Jagged& jagged = batch.sparse.emplace_back();
    const bool single = random() % 3 == 0;
    for (int64_t i = 0; i < samples; ++i) {
      const int values = single ? 1 : static_cast<int>(random() % (values_max + 1));
      for (int v = 0; v < values; ++v) jagged.values.push_back(random() % keys);
      jagged.EndSample();
    }
    if (feature.pooling != SparseConfig::WEIGHTED_SUM) continue;
    for (size_t v = 0; v < jagged.values.size(); ++v) {
      jagged.weights.push_back(static_cast<float>(std::normal_distribution<double>()(random)));
    }
  }
  return batch;
}

// The values of sample i that feature f sees, as places in its Jagged.
std::vector<int32_t> Bag(const Batch& batch, size_t f, int64_t i) {
  const SparseFeature feature = Features().sparse[f];
  std::vector<int32_t> bag;
  for (int32_t at = batch.sparse[f].offsets[i]; at < batch.sparse[f].offsets[i + 1]; ++at) {
    const bool cut = feature.pooling == SparseConfig::NONE && static_cast<int>(bag.size()) == feature.max_length;
    if (!cut) bag.push_back(at);
  }
  return bag;
}

float Weight(int table, uint64_t key, int column) {
  return static_cast<float>(std::sin(static_cast<double>(table * 1000 + key * 37 + column)));
}

void FillRows(const Lookup& lookup) {
  for (const TablePull& pull : lookup.pulls()) {
    for (size_t i = 0; i < pull.keys.size(); ++i) {
      for (int c = 0; c < kDims[pull.table]; ++c) {
        pull.rows[i * kDims[pull.table] + c] = Weight(pull.table, pull.keys[i], c);
      }
    }
  }
}

void CheckPulls(const Lookup& lookup, const Batch& batch) {
  const FeatureSet features = Features();
  std::vector<std::vector<uint64_t>> expected(4);
  int64_t values = 0;
  for (size_t f = 0; f < NumFeatures(); ++f) {
    auto& keys = expected[features.sparse[f].table];
    for (int64_t i = 0; i < batch.num_samples; ++i) {
      for (int32_t at : Bag(batch, f, i)) {
        const uint64_t key = batch.sparse[f].values[at];
        if (std::find(keys.begin(), keys.end(), key) == keys.end()) keys.push_back(key);
        ++values;
      }
    }
  }
  ASSERT_EQ(lookup.num_values(), values);
  size_t at = 0;
  int64_t distinct = 0;
  for (int table = 0; table < 4; ++table) {
    if (expected[table].empty()) continue;
    ASSERT_LT(at, lookup.pulls().size());
    const TablePull& pull = lookup.pulls()[at++];
    ASSERT_EQ(pull.table, table);
    ASSERT_EQ(std::vector<uint64_t>(pull.keys.begin(), pull.keys.end()), expected[table]);
    distinct += static_cast<int64_t>(pull.keys.size());
  }
  ASSERT_EQ(at, lookup.pulls().size());
  ASSERT_EQ(lookup.num_distinct(), distinct);
}

// Column c of the part of feature f in the pooled vector of sample i.
float PooledAt(const Batch& batch, size_t f, int64_t i, int c) {
  const SparseFeature feature = Features().sparse[f];
  const Jagged& jagged = batch.sparse[f];
  const std::vector<int32_t> bag = Bag(batch, f, i);
  if (feature.pooling == SparseConfig::NONE) {
    const auto place = static_cast<size_t>(c / feature.dim);
    return place < bag.size() ? Weight(feature.table, jagged.values[bag[place]], c % feature.dim) : 0;
  }
  float pooled = 0;
  for (int32_t at : bag) {
    const float weight = Weight(feature.table, jagged.values[at], c);
    if (feature.pooling == SparseConfig::MAX) {
      pooled = at == bag[0] ? weight : std::max(pooled, weight);
    } else {
      pooled = pooled + (feature.pooling == SparseConfig::WEIGHTED_SUM ? jagged.weights[at] * weight : weight);
    }
  }
  return feature.pooling == SparseConfig::MEAN && !bag.empty() ? pooled / static_cast<float>(bag.size()) : pooled;
}

void CheckPool(const Lookup& lookup, const Batch& batch) {
  const FeatureSet features = Features();
  std::vector<float> pooled(batch.num_samples * features.pooled_dim, 5);
  lookup.Pool(pooled.data());
  for (size_t f = 0; f < NumFeatures(); ++f) {
    const SparseFeature& feature = features.sparse[f];
    for (int64_t i = 0; i < batch.num_samples; ++i) {
      for (int c = 0; c < feature.pooled_dim(); ++c) {
        ASSERT_EQ(pooled[i * features.pooled_dim + feature.offset + c], PooledAt(batch, f, i, c))
            << feature.name << " sample " << i;
      }
    }
  }
}

// What value `at` of the bag gets, in column c, of its sample's gradient, which begins at g.
float GradientOf(const Batch& batch, size_t f, const std::vector<int32_t>& bag, size_t at, int c, const float* g) {
  const SparseFeature feature = Features().sparse[f];
  const Jagged& jagged = batch.sparse[f];
  switch (feature.pooling) {
    case SparseConfig::SUM:
      return g[c];
    case SparseConfig::MEAN:
      return g[c] / static_cast<float>(bag.size());
    case SparseConfig::WEIGHTED_SUM:
      return jagged.weights[bag[at]] * g[c];
    case SparseConfig::NONE:
      return g[at * feature.dim + c];
    case SparseConfig::MAX:
      break;
  }
  size_t winner = 0;
  auto weight = [&](size_t value) { return Weight(feature.table, jagged.values[bag[value]], c); };
  for (size_t value = 1; value < bag.size(); ++value) winner = weight(value) > weight(winner) ? value : winner;
  return winner == at ? g[c] : 0;
}

void CheckGradients(Lookup* lookup, const Batch& batch, std::mt19937_64& random) {
  const FeatureSet features = Features();
  std::vector<float> pooled_gradient(batch.num_samples * features.pooled_dim);
  for (float& g : pooled_gradient) g = std::normal_distribution<float>()(random);
  const std::span<const TablePush> pushes = lookup->Gradients(pooled_gradient.data());
  ASSERT_EQ(pushes.size(), lookup->pulls().size());
  for (size_t p = 0; p < pushes.size(); ++p) {
    const int table = pushes[p].table, dim = kDims[table];
    ASSERT_EQ(table, lookup->pulls()[p].table);
    ASSERT_EQ(pushes[p].keys.data(), lookup->pulls()[p].keys.data());
    std::unordered_map<uint64_t, std::vector<float>> sums;  // feature order, then sample order
    for (size_t f = 0; f < NumFeatures(); ++f) {
      const SparseFeature& feature = features.sparse[f];
      if (feature.table != table) continue;
      for (int64_t i = 0; i < batch.num_samples; ++i) {
        const std::vector<int32_t> bag = Bag(batch, f, i);
        const float* g = &pooled_gradient[i * features.pooled_dim + feature.offset];
        for (size_t at = 0; at < bag.size(); ++at) {
          auto& sum = sums.try_emplace(batch.sparse[f].values[bag[at]], std::vector<float>(dim, 0)).first->second;
          for (int c = 0; c < dim; ++c) sum[c] = sum[c] + GradientOf(batch, f, bag, at, c, g);
        }
      }
    }
    ASSERT_EQ(pushes[p].keys.size(), sums.size());
    for (size_t i = 0; i < pushes[p].keys.size(); ++i) {
      for (int c = 0; c < dim; ++c) ASSERT_EQ(pushes[p].gradients[i * dim + c], sums[pushes[p].keys[i]][c]);
    }
  }
}

TEST(LookupTest, AgreesWithTheOracleOnRandomBatches) {
  const uint64_t seed = TestSeed();
  WEIR_TRACE_SEED(seed);
  std::mt19937_64 random(seed);
  Lookup lookup(Features(), kDims);
  for (int round = 0; round < 100; ++round) {
    const Batch batch = RandomBatch(random() % 50, 1 + static_cast<int>(random() % 6), 1 + random() % 300, random);
    lookup.Prepare(batch);
    ASSERT_EQ(lookup.num_samples(), batch.num_samples);
    ASSERT_NO_FATAL_FAILURE(CheckPulls(lookup, batch));
    FillRows(lookup);
    ASSERT_NO_FATAL_FAILURE(CheckPool(lookup, batch));
    ASSERT_NO_FATAL_FAILURE(CheckGradients(&lookup, batch, random));
  }
}

TEST(LookupTest, EmptyBatchHasNothingToPullOrPush) {
  Lookup lookup(Features(), kDims);
  Batch batch;
  batch.sparse.resize(NumFeatures());
  lookup.Prepare(batch);
  EXPECT_TRUE(lookup.pulls().empty());
  lookup.Pool(nullptr);
  EXPECT_TRUE(lookup.Gradients(nullptr).empty());
  EXPECT_EQ(lookup.num_distinct(), 0);
}

TEST(LookupTest, SamplesWithoutValuesPoolToZeros) {
  Lookup lookup(Features(), kDims);
  Batch batch;
  batch.num_samples = 3;
  batch.sparse.resize(NumFeatures());
  for (Jagged& jagged : batch.sparse) jagged.offsets = {0, 0, 0, 0};
  lookup.Prepare(batch);
  EXPECT_TRUE(lookup.pulls().empty());
  std::vector<float> pooled(3 * Features().pooled_dim, 5);
  lookup.Pool(pooled.data());
  EXPECT_EQ(pooled, std::vector<float>(pooled.size(), 0));
}

// What the net does not see of a sequence is neither pulled nor pushed.
TEST(LookupTest, ValuesPastMaxLengthHaveNoPart) {
  FeatureSet features;
  features.sparse.push_back({"seen", 0, 2, 0, SparseConfig::NONE, 0, 2});
  features.pooled_dim = 4;
  Lookup lookup(features, {2});
  Batch batch;
  batch.num_samples = 2;
  batch.sparse.resize(1);
  batch.sparse[0].values = {7, 8, 9, 8};
  batch.sparse[0].offsets = {0, 3, 4};
  lookup.Prepare(batch);
  ASSERT_EQ(lookup.pulls().size(), 1u);
  EXPECT_EQ(std::vector<uint64_t>(lookup.pulls()[0].keys.begin(), lookup.pulls()[0].keys.end()),
            (std::vector<uint64_t>{7, 8}));
  EXPECT_EQ(lookup.num_values(), 3);
  const std::vector<float> rows = {1, 2, 3, 4};
  std::copy(rows.begin(), rows.end(), lookup.pulls()[0].rows);
  std::vector<float> pooled(8);
  lookup.Pool(pooled.data());
  EXPECT_EQ(pooled, (std::vector<float>{1, 2, 3, 4, 3, 4, 0, 0}));
  const std::vector<float> gradient = {1, 2, 3, 4, 50, 60, 700, 800};
  const TablePush push = lookup.Gradients(gradient.data())[0];
  EXPECT_EQ(std::vector<float>(push.gradients, push.gradients + 4), (std::vector<float>{1, 2, 53, 64}));
}

// Sum over pooled of weight * sin(pooled): central differences against the gradients pushed.
TEST(LookupTest, GradientsAgreeWithDifferences) {
  const uint64_t seed = TestSeed();
  WEIR_TRACE_SEED(seed);
  std::mt19937_64 random(seed);
  const Batch batch = RandomBatch(20, 3, 10, random);
  Lookup lookup(Features(), kDims);
  lookup.Prepare(batch);
  FillRows(lookup);
  std::vector<float> pooled(batch.num_samples * Features().pooled_dim);
  auto loss = [&] {
    lookup.Pool(pooled.data());
    double sum = 0;
    for (size_t i = 0; i < pooled.size(); ++i) sum += std::cos(static_cast<double>(i)) * std::sin(double{pooled[i]});
    return sum;
  };
  loss();
  std::vector<float> pooled_gradient(pooled.size());
  for (size_t i = 0; i < pooled.size(); ++i) {
    pooled_gradient[i] = static_cast<float>(std::cos(static_cast<double>(i)) * std::cos(double{pooled[i]}));
  }
  for (const TablePush& push : lookup.Gradients(pooled_gradient.data())) {
    const auto pull = std::find_if(lookup.pulls().begin(), lookup.pulls().end(),
                                   [&](const TablePull& p) { return p.table == push.table; });
    for (size_t i = 0; i < push.keys.size() * kDims[push.table]; ++i) {
      const float weight = pull->rows[i];
      pull->rows[i] = weight + 0x1p-8f;
      const double above = loss();
      pull->rows[i] = weight - 0x1p-8f;
      const double below = loss();
      pull->rows[i] = weight;
      ASSERT_NEAR(push.gradients[i], (above - below) / 0x1p-7, 2e-3) << "table " << push.table << " weight " << i;
    }
  }
}

}  // namespace
}  // namespace weir
