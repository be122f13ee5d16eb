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

// Features 0 and 2 share table 0; table 2 has no feature.
FeatureSet Features() {
  FeatureSet features;
  auto add = [&](const char* name, int table, int dim, SparseConfig::Pooling pooling) {
    features.sparse.push_back({name, table, dim, features.pooled_dim, pooling, 0});
    features.pooled_dim += dim;
  };
  add("a", 0, 4, SparseConfig::SUM);
  add("b", 1, 16, SparseConfig::MEAN);
  add("c", 0, 4, SparseConfig::MEAN);
  add("d", 3, 1, SparseConfig::SUM);
  return features;
}

const std::vector<int> kDims = {4, 16, 8, 1};

Batch RandomBatch(int64_t samples, int values_max, uint64_t keys, std::mt19937_64& random) {
  Batch batch;
  batch.num_samples = samples;
  batch.sparse.resize(4);
  for (Jagged& jagged : batch.sparse) {
    const bool single = random() % 3 == 0;
    for (int64_t i = 0; i < samples; ++i) {
      const int values = single ? 1 : static_cast<int>(random() % (values_max + 1));
      for (int v = 0; v < values; ++v) jagged.values.push_back(random() % keys);
      jagged.EndSample();
    }
  }
  return batch;
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
  for (size_t f = 0; f < 4; ++f) {
    auto& keys = expected[features.sparse[f].table];
    for (uint64_t key : batch.sparse[f].values) {
      if (std::find(keys.begin(), keys.end(), key) == keys.end()) keys.push_back(key);
      ++values;
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

void CheckPool(const Lookup& lookup, const Batch& batch) {
  const FeatureSet features = Features();
  std::vector<float> pooled(batch.num_samples * features.pooled_dim, 5);
  lookup.Pool(pooled.data());
  for (size_t f = 0; f < 4; ++f) {
    const SparseFeature& feature = features.sparse[f];
    for (int64_t i = 0; i < batch.num_samples; ++i) {
      const auto bag = batch.sparse[f].sample(i);
      for (int c = 0; c < feature.dim; ++c) {
        float expected = 0;
        for (uint64_t key : bag) expected = expected + Weight(feature.table, key, c);
        if (feature.pooling == SparseConfig::MEAN && !bag.empty()) expected = expected / static_cast<float>(bag.size());
        ASSERT_EQ(pooled[i * features.pooled_dim + feature.offset + c], expected) << feature.name << " sample " << i;
      }
    }
  }
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
    for (size_t f = 0; f < 4; ++f) {
      const SparseFeature& feature = features.sparse[f];
      if (feature.table != table) continue;
      for (int64_t i = 0; i < batch.num_samples; ++i) {
        const auto bag = batch.sparse[f].sample(i);
        for (uint64_t key : bag) {
          auto& sum = sums.try_emplace(key, std::vector<float>(dim, 0)).first->second;
          for (int c = 0; c < dim; ++c) {
            float g = pooled_gradient[i * features.pooled_dim + feature.offset + c];
            if (feature.pooling == SparseConfig::MEAN) g = g / static_cast<float>(bag.size());
            sum[c] = sum[c] + g;
          }
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
    const Batch batch = RandomBatch(random() % 50, 1 + static_cast<int>(random() % 4), 1 + random() % 300, random);
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
  batch.sparse.resize(4);
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
  batch.sparse.resize(4);
  for (Jagged& jagged : batch.sparse) jagged.offsets = {0, 0, 0, 0};
  lookup.Prepare(batch);
  EXPECT_TRUE(lookup.pulls().empty());
  std::vector<float> pooled(3 * Features().pooled_dim, 5);
  lookup.Pool(pooled.data());
  EXPECT_EQ(pooled, std::vector<float>(pooled.size(), 0));
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
