// Distinct keys and gradient sums on batches of Criteo's shape: 26 features with a table each, keys by a Zipf law.
#include <algorithm>
#include <array>
#include <cmath>
#include <functional>
#include <unordered_map>
#include <vector>

#include <fmt/format.h>
#include <glog/logging.h>

#include "base/random.h"
#include "bench/bench_line.h"
#include "bench/table_bench.h"
#include "data_loader/columns/key.h"
#include "embeddings/distinct.h"
#include "embeddings/pooling.h"

namespace weir::bench {
namespace {

// Of the Criteo Kaggle set.
constexpr std::array<double, 26> kCardinality = {1460,  583,  10131227, 2202608, 305, 24,     12517,   633,   3,
                                                 93145, 5683, 8351593,  3194,    27,  14992,  5461306, 10,    5652,
                                                 2173,  4,    7046547,  18,      15,  286181, 105,     142572};
constexpr double kZipf = 1.05;
constexpr int kFeatures = static_cast<int>(kCardinality.size());
constexpr int64_t kSamples = 4096;
constexpr int kBatches = 16;  // more than a branch predictor learns by heart
constexpr double kKeysPerRound = static_cast<double>(kBatches) * kFeatures * kSamples;

using Keys = std::vector<uint64_t>;

// [batch * kFeatures + feature][kSamples]
std::vector<Keys> DrawBatches() {
  std::vector<Keys> batches(static_cast<size_t>(kBatches) * kFeatures, Keys(kSamples));
  for (size_t column = 0; column < batches.size(); ++column) {
    const auto feature = column % kFeatures;
    const double cardinality = kCardinality[feature];
    const KeyRule rule(fmt::format("C{}", feature + 1), 0, false);
    for (int64_t i = 0; i < kSamples; ++i) {
      // The inverse of the continuous distribution function over [1, cardinality].
      const double u = UnitDouble(RandomBits(1, RandomPurpose::kSampling, column, i));
      const double rank = std::pow((std::pow(cardinality, 1 - kZipf) - 1) * u + 1, 1 / (1 - kZipf)) - 1;
      batches[column][i] = rule.OfInteger(static_cast<uint64_t>(std::min(rank, cardinality - 1)));
    }
  }
  return batches;
}

// All tables of a batch, one after the other, as a step does.
class OurDistinct {
 public:
  int64_t Run(const Keys* batch) {
    int64_t distinct = 0;
    for (int f = 0; f < kFeatures; ++f) {
      keys_.Clear(last_[f] + last_[f] / 8);
      keys_.Add(batch[f], numbers_.data());
      last_[f] = keys_.size();
      distinct += keys_.size();
    }
    return distinct;
  }

 private:
  DistinctKeys keys_;
  std::array<int64_t, kFeatures> last_ = {};
  std::vector<int32_t> numbers_ = std::vector<int32_t>(kSamples);
};

// The map at its best: kept from batch to batch, with room for all, so that it never rehashes.
class StdDistinct {
 public:
  StdDistinct() { map_.reserve(kSamples); }
  int64_t Run(const Keys* batch) {
    int64_t distinct = 0;
    for (int f = 0; f < kFeatures; ++f) {
      map_.clear();
      keys_.clear();
      for (int64_t i = 0; i < kSamples; ++i) {
        const auto [entry, is_new] = map_.try_emplace(batch[f][i], static_cast<int32_t>(map_.size()));
        if (is_new) keys_.push_back(batch[f][i]);
        numbers_[i] = entry->second;
      }
      distinct += static_cast<int64_t>(keys_.size());
    }
    return distinct;
  }

 private:
  std::unordered_map<uint64_t, int32_t> map_;
  Keys keys_;
  std::vector<int32_t> numbers_ = std::vector<int32_t>(kSamples);
};

// A batch's keys as numbers of distinct ones.
struct NumberedBatch {
  std::vector<std::vector<int32_t>> numbers = {kFeatures, std::vector<int32_t>(kSamples)};
  std::vector<std::vector<float>> gradients;  // by feature, [distinct, dim]
};

NumberedBatch NumberBatch(const Keys* batch, int dim) {
  NumberedBatch numbered;
  DistinctKeys distinct;
  for (int f = 0; f < kFeatures; ++f) {
    distinct.Clear();
    distinct.Add(batch[f], numbered.numbers[f].data());
    numbered.gradients.emplace_back(distinct.size() * dim);
  }
  return numbered;
}

}  // namespace

void DistinctKeysBench() {
  const std::vector<Keys> batches = DrawBatches();
  OurDistinct ours;
  StdDistinct theirs;
  CHECK_EQ(ours.Run(batches.data()), theirs.Run(batches.data()));  // warms up both
  Rounds our_best, their_best;
  for (int round = 0; round < kRounds; ++round) {
    double our_ns = 0, their_ns = 0;
    // Turns are short, so that what slows the machine for a while slows both.
    for (int b = 0; b < kBatches; ++b) {
      const Keys* batch = &batches[static_cast<size_t>(b) * kFeatures];
      int64_t found = 0, expected = 0;
      our_ns += TimedNanos([&] { found = ours.Run(batch); });
      their_ns += TimedNanos([&] { expected = theirs.Run(batch); });
      CHECK_EQ(found, expected);
    }
    our_best.Add(our_ns / kKeysPerRound);
    their_best.Add(their_ns / kKeysPerRound);
  }
  PrintLine("distinct", "criteo_4096_zipf_1.05", "ns/key", our_best, "std", &their_best);
}

void GradientSumBench() {
  const std::vector<Keys> batches = DrawBatches();
  for (const int dim : {16, 64}) {
    NumberedBatch batch = NumberBatch(batches.data(), dim);
    const int64_t stride = int64_t{kFeatures} * dim;
    const std::vector<float> pooled_gradient(kSamples * stride, 0.5f);
    Rounds best;
    for (int round = 0; round <= kRounds; ++round) {
      const double ns = TimedNanos([&] {
        for (int f = 0; f < kFeatures; ++f) {
          std::vector<float>& gradients = batch.gradients[f];
          std::fill(gradients.begin(), gradients.end(), 0.0f);
          PoolBackward({dim, batch.numbers[f], {}, SparseConfig::SUM, {}, 0}, nullptr,
                       pooled_gradient.data() + int64_t{f} * dim, stride, gradients.data());
        }
      });
      if (round > 0) best.Add(ns / (kFeatures * static_cast<double>(kSamples)));  // the first warms up
    }
    PrintLine("distinct", fmt::format("gradient_sum_dim_{}", dim), "ns/key", best, "", nullptr);
  }
}

}  // namespace weir::bench
