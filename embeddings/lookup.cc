#include "embeddings/lookup.h"

#include <algorithm>
#include <memory>

#include <glog/logging.h>

#include "base/parallel_for.h"
#include "embeddings/distinct.h"
#include "embeddings/pooling.h"

namespace weir {
namespace {

// Floats that grow only and are never wiped: a batch writes what it reads.
class FloatBuffer {
 public:
  float* Get(size_t size) {
    if (size > capacity_) {
      capacity_ = std::max(size, capacity_ + capacity_ / 2);
      data_ = std::make_unique_for_overwrite<float[]>(capacity_);
    }
    return data_.get();
  }
  float* data() const { return data_.get(); }

 private:
  std::unique_ptr<float[]> data_;
  size_t capacity_ = 0;
};

bool OneValueEach(const Jagged& jagged) {
  if (static_cast<int64_t>(jagged.values.size()) != jagged.num_samples()) return false;
  int32_t differences = 0;
  for (int64_t i = 0; i < jagged.num_samples(); ++i) differences |= jagged.offsets[i] ^ static_cast<int32_t>(i);
  return differences == 0;
}

// A sequence's values past max_length are seen by nobody: their keys are neither pulled nor trained. Returns `jagged`,
// or what is left of it in *cut.
const Jagged& CutToLength(const SparseFeature& feature, const Jagged& jagged, Jagged* cut) {
  if (feature.pooling != SparseConfig::NONE) return jagged;
  int32_t longest = 0;
  for (int64_t i = 0; i < jagged.num_samples(); ++i) {
    longest = std::max(longest, jagged.offsets[i + 1] - jagged.offsets[i]);
  }
  if (longest <= feature.max_length) return jagged;
  cut->Clear();
  for (int64_t i = 0; i < jagged.num_samples(); ++i) {
    const std::span<const uint64_t> values = jagged.sample(i);
    const size_t length = std::min<size_t>(values.size(), feature.max_length);
    cut->values.insert(cut->values.end(), values.begin(), values.begin() + static_cast<int64_t>(length));
    cut->EndSample();
  }
  return *cut;
}

}  // namespace

struct Lookup::TableState {
  std::vector<uint64_t> keys;  // distinct, as first seen
  std::vector<int> features;   // that look it up, ascending
  FloatBuffer rows;            // [distinct, dim]
  FloatBuffer gradients;       // [distinct, dim]
};

struct Lookup::FeatureState {
  std::vector<int32_t> numbers;
  std::vector<int32_t> offsets;  // empty when each sample has one value
  std::vector<float> weights;    // of the values; empty without a weight column

  PooledFeature Pooled(const SparseFeature& feature) const {
    return {feature.dim, numbers, offsets, feature.pooling, weights, feature.max_length};
  }
};

Lookup::Lookup(const FeatureSet& features, std::vector<int> dims)
    : features_(features),
      dims_(std::move(dims)),
      distinct_(std::make_unique<DistinctKeys>()),
      tables_(dims_.size()),
      states_(features_.sparse.size()) {
  for (size_t f = 0; f < features_.sparse.size(); ++f) {
    const SparseFeature& feature = features_.sparse[f];
    CHECK_LT(feature.table, static_cast<int>(dims_.size())) << "feature " << feature.name;
    CHECK_EQ(feature.dim, dims_[feature.table]) << "feature " << feature.name;
    tables_[feature.table].features.push_back(static_cast<int>(f));
  }
}

Lookup::~Lookup() = default;

void Lookup::Prepare(const Batch& batch) {
  CHECK_EQ(batch.sparse.size(), features_.sparse.size());
  num_samples_ = batch.num_samples;
  pulls_.clear();
  for (size_t t = 0; t < tables_.size(); ++t) {
    TableState& table = tables_[t];
    // As many as in the last batch, and some more.
    distinct_->Clear(static_cast<int64_t>(table.keys.size() + table.keys.size() / 8));
    for (int f : table.features) {
      CHECK_EQ(batch.sparse[f].num_samples(), num_samples_) << "feature " << features_.sparse[f].name;
      const Jagged& jagged = CutToLength(features_.sparse[f], batch.sparse[f], &cut_);
      FeatureState& state = states_[f];
      if (features_.sparse[f].pooling == SparseConfig::WEIGHTED_SUM) {
        CHECK_EQ(jagged.weights.size(), jagged.values.size()) << "feature " << features_.sparse[f].name;
        state.weights = jagged.weights;
      }
      state.numbers.resize(jagged.values.size());
      distinct_->Add(jagged.values, state.numbers.data());
      if (OneValueEach(jagged)) {
        state.offsets.clear();
      } else {
        state.offsets = jagged.offsets;
      }
    }
    table.keys.assign(distinct_->keys().begin(), distinct_->keys().end());
    if (table.keys.empty()) continue;
    pulls_.push_back({static_cast<int>(t), table.keys, table.rows.Get(table.keys.size() * dims_[t])});
  }
}

int64_t Lookup::num_samples() const { return num_samples_; }

std::span<const TablePull> Lookup::pulls() const { return pulls_; }

void Lookup::Pool(float* pooled) const {
  // Each feature has columns of its own.
  ParallelFor(states_.size(), 1, [&](int64_t begin, int64_t end) {
    for (int64_t f = begin; f < end; ++f) {
      const SparseFeature& feature = features_.sparse[f];
      PoolForward(states_[f].Pooled(feature), tables_[feature.table].rows.data(), pooled + feature.offset,
                  features_.pooled_dim);
    }
  });
}

void Lookup::SumGradients(const TablePull& pull, const float* pooled_gradient) {
  TableState& table = tables_[pull.table];
  float* gradients = table.gradients.data();
  std::fill_n(gradients, pull.keys.size() * dims_[pull.table], 0.0f);
  for (int f : table.features) {
    const SparseFeature& feature = features_.sparse[f];
    PoolBackward(states_[f].Pooled(feature), pull.rows, pooled_gradient + feature.offset, features_.pooled_dim,
                 gradients);
  }
}

std::span<const TablePush> Lookup::Gradients(const float* pooled_gradient) {
  pushes_.clear();
  for (const TablePull& pull : pulls_) {
    float* gradients = tables_[pull.table].gradients.Get(pull.keys.size() * dims_[pull.table]);
    pushes_.push_back({pull.table, pull.keys, gradients});
  }
  // Each table has sums of its own; those of one table run in the order of its features.
  ParallelFor(pulls_.size(), 1, [&](int64_t begin, int64_t end) {
    for (int64_t p = begin; p < end; ++p) SumGradients(pulls_[p], pooled_gradient);
  });
  return pushes_;
}

int64_t Lookup::num_values() const {
  int64_t values = 0;
  for (const FeatureState& state : states_) values += static_cast<int64_t>(state.numbers.size());
  return values;
}

int64_t Lookup::num_distinct() const {
  int64_t distinct = 0;
  for (const TableState& table : tables_) distinct += static_cast<int64_t>(table.keys.size());
  return distinct;
}

}  // namespace weir
