#include "data_loader/columns/sequence_group.h"

#include <algorithm>

#include <fmt/format.h>

namespace weir {
namespace {

// Values [begin, end) of the `size` that a sample has.
struct Stay {
  int64_t begin = 0;
  int64_t end = 0;
};

// Keeps of each sample from first_sample on what stay(sample, size) says.
template <typename StayOf>
void KeepValues(int64_t first_sample, Jagged* jagged, const StayOf& stay) {
  const int64_t n = jagged->num_samples();
  int64_t begin = jagged->offsets[first_sample], kept = begin;
  for (int64_t i = first_sample; i < n; ++i) {
    const int64_t end = jagged->offsets[i + 1];
    const Stay range = stay(i, end - begin);
    const auto move = [&](auto* values) {
      std::copy(values->begin() + begin + range.begin, values->begin() + begin + range.end, values->begin() + kept);
    };
    move(&jagged->values);
    if (!jagged->weights.empty()) move(&jagged->weights);
    kept += range.end - range.begin;
    jagged->offsets[i + 1] = static_cast<int32_t>(kept);
    begin = end;
  }
  jagged->values.resize(kept);
  if (!jagged->weights.empty()) jagged->weights.resize(kept);
}

}  // namespace

SequenceCut SequenceCut::Of(const SparseConfig& config) {
  const bool keeps_last = config.keep() == SparseConfig::LAST;
  if (config.pooling() != SparseConfig::NONE) return {config.max_values(), keeps_last};
  return {keeps_last ? config.max_length() : 0, keeps_last};
}

void CutSamples(const SequenceCut& cut, int64_t first_sample, Jagged* values) {
  if (cut.max == 0) return;
  KeepValues(first_sample, values, [&](int64_t, int64_t size) {
    const int64_t stays = std::min(size, cut.max);
    return cut.keeps_last ? Stay{size - stays, size} : Stay{0, stays};
  });
}

void SequenceGroup::Add(size_t feature, const std::string& column) {
  features_.push_back(feature);
  columns_.push_back(column);
}

void SequenceGroup::CheckLengths(int64_t first_sample, Batch* batch, std::vector<BadRow>* bad) const {
  const Jagged& first = batch->sparse[features_[0]];
  const int64_t n = first.num_samples();
  std::vector<uint8_t> differs(n - first_sample);
  bool any = false;
  // A row that one of the features finds bad has no values of it: its length is no news.
  std::vector<uint8_t> known(n - first_sample);
  for (const BadRow& row : *bad) {
    const bool own = std::find(columns_.begin(), columns_.end(), row.column) != columns_.end();
    if (own && row.row >= first_sample) known[row.row - first_sample] = 1;
  }
  for (size_t f = 1; f < features_.size(); ++f) {
    const Jagged& other = batch->sparse[features_[f]];
    for (int64_t i = first_sample; i < n; ++i) {
      const size_t expected = first.sample(i).size(), found = other.sample(i).size();
      if (expected == found || differs[i - first_sample]) continue;
      differs[i - first_sample] = any = true;
      if (known[i - first_sample]) continue;
      bad->push_back({i, columns_[f],
                      fmt::format("has {} values where {}, of the same sequence, has {}", found, columns_[0], expected),
                      ""});
    }
  }
  if (!any) return;
  for (const size_t feature : features_) {
    KeepValues(first_sample, &batch->sparse[feature], [&](int64_t i, int64_t size) {
      return Stay{0, differs[i - first_sample] ? 0 : size};
    });
  }
}

}  // namespace weir
