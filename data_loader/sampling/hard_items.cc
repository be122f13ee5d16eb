#include "data_loader/sampling/hard_items.h"

#include <algorithm>
#include <string>
#include <utility>

#include <fmt/format.h>
#include <glog/logging.h>

#include "data_loader/extractor.h"
#include "data_loader/reader.h"

namespace weir {
namespace {

constexpr int64_t kReadRows = 8192;

// The features that a file of hard negatives holds: the one that chooses the list, and the id, as a list of all of
// them.
Job ListFeatures(const Job& job, const NegativesConfig& negatives) {
  const std::string& id = negatives.features(0);
  Job reduced = WithFeatures(job, {negatives.hard_items().by(), id});
  for (FeatureConfig& feature : *reduced.mutable_features()) {
    if (feature.name() != id) continue;
    if (negatives.hard_items().has_column()) feature.set_column(negatives.hard_items().column());
    SparseConfig* sparse = feature.mutable_sparse();
    sparse->clear_pooling();
    sparse->clear_weight_column();
    sparse->clear_max_length();
    sparse->clear_max_values();
    sparse->clear_keep();
    sparse->clear_group();
    sparse->clear_default_value();
  }
  return reduced;
}

}  // namespace

Result<HardItems> HardItems::Read(const Job& job, const NegativesConfig& negatives, const ItemPool& pool,
                                  const FeatureExtractor& samples) {
  const Job reduced = ListFeatures(job, negatives);
  SourceConfig files;
  *files.mutable_uri() = negatives.hard_items().uri();
  WEIR_ASSIGN_OR_RETURN(auto reader, OrderedReader::Open(reduced, files, /*with_label=*/false, {}));
  const int id = reduced.features(0).name() == negatives.features(0) ? 0 : 1;
  const int by = 1 - id;
  std::vector<std::pair<uint64_t, uint32_t>> pairs;
  int64_t unknown = 0;
  OrderedRows read;
  while (true) {
    WEIR_ASSIGN_OR_RETURN(const bool more, reader->Next(kReadRows, &read));
    if (!more) break;
    WEIR_RETURN_IF_ERROR(samples.CheckAgrees(*read.extractor).Wrap(read.path));
    Batch rows = EmptyBatch(reduced);
    std::vector<BadRow> bad;
    WEIR_RETURN_IF_ERROR(read.extractor->Extract(*read.rows, &rows, &bad).Wrap(read.path));
    if (!bad.empty()) {
      return InvalidArgument(fmt::format("{}: row {}: column {} {}: found '{}'", read.path,
                                         read.first_row + bad[0].row + 1, bad[0].column, bad[0].reason, bad[0].value));
    }
    for (int64_t row = 0; row < rows.num_samples; ++row) {
      for (const uint64_t key : rows.sparse[by].sample(row)) {
        for (const uint64_t item : rows.sparse[id].sample(row)) {
          const auto found = pool.by_id.find(item);
          if (found == pool.by_id.end()) {
            ++unknown;
          } else {
            pairs.emplace_back(key, found->second);
          }
        }
      }
    }
  }
  LOG_IF(WARNING, unknown > 0) << fmt::format("{} hard negatives are left out: the pool does not have them", unknown);
  if (pairs.empty()) return InvalidArgument("expected at least one item that the pool has, found none");

  HardItems lists;
  for (const FeatureConfig& feature : job.features()) {
    if (feature.name() == negatives.hard_items().by()) break;
    lists.by_ += !feature.has_numeric();
  }
  std::stable_sort(pairs.begin(), pairs.end(), [](const auto& a, const auto& b) { return a.first < b.first; });
  for (const auto& [key, item] : pairs) {
    List& list = lists.lists_.try_emplace(key, List{lists.items_.size(), 0}).first->second;
    lists.items_.push_back(item);
    ++list.size;
  }
  return lists;
}

}  // namespace weir
