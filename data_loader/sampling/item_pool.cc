#include "data_loader/sampling/item_pool.h"

#include <algorithm>
#include <cmath>

#include <arrow/array.h>
#include <arrow/record_batch.h>
#include <fmt/format.h>
#include <glog/logging.h>

#include "batch/feature.h"
#include "data_loader/columns/cells.h"
#include "data_loader/extractor.h"
#include "data_loader/reader.h"

namespace weir {
namespace {

constexpr int64_t kReadRows = 8192;

std::vector<ItemFeature> FindFeatures(const Job& job, const std::vector<std::string>& names) {
  std::vector<ItemFeature> features;
  ItemFeature sparse{.sparse = true}, numeric{.sparse = false};
  for (const FeatureConfig& feature : job.features()) {
    ItemFeature& next = feature.has_numeric() ? numeric : sparse;
    const bool of_item = std::find(names.begin(), names.end(), feature.name()) != names.end();
    const int columns = feature.has_numeric() ? NumericColumnsOf(feature.numeric()) : 1;
    for (int i = 0; i < columns; ++i, ++next.in_batch) {
      if (!of_item) continue;
      features.push_back(next);
      ++next.in_pool;
    }
  }
  return features;
}

// Index of the sparse feature `name` among the job's.
int SparseIndex(const Job& job, const std::string& name) {
  int index = 0;
  for (const FeatureConfig& feature : job.features()) {
    if (feature.name() == name) break;
    index += !feature.has_numeric();
  }
  return index;
}

// counts: [rows], 1 each without a column for them; of rows that are not usable, anything.
Status ReadCounts(const OrderedRows& read, const std::string& column, const std::vector<uint8_t>& usable,
                  std::vector<double>* counts) {
  const int64_t n = read.rows->num_rows();
  counts->assign(n, 1);
  if (column.empty()) return Status();
  std::vector<Cell> cells(n);
  const arrow::Array& array = *read.rows->GetColumnByName(column);
  WEIR_RETURN_IF_ERROR(ReadNumbers(array, counts->data(), cells.data()).Wrap(read.path));
  for (int64_t i = 0; i < n; ++i) {
    if (!usable[i] || (cells[i] == Cell::kValue && (*counts)[i] >= 0 && std::isfinite((*counts)[i]))) continue;
    return InvalidArgument(fmt::format("{}: row {}: column {}: expected a count of at least 0, found {}", read.path,
                                       read.first_row + i + 1, column, CellText(array, i)));
  }
  return Status();
}

// Adds the row to the pool, or to the count of an item that it has.
void AddRow(const Batch& rows, int64_t row, double count, ItemPool* pool) {
  const uint64_t id = rows.sparse[pool->id].sample(row)[0];
  const auto [at, is_new] = pool->by_id.try_emplace(id, static_cast<uint32_t>(pool->counts.size()));
  if (!is_new) {
    pool->counts[at->second] += count;
    return;
  }
  Batch& items = pool->items;
  for (size_t f = 0; f < items.sparse.size(); ++f) items.sparse[f].AppendSample(rows.sparse[f], row);
  const size_t width = rows.numeric.size() / rows.num_samples;
  items.numeric.insert(items.numeric.end(), rows.numeric.begin() + row * width,
                       rows.numeric.begin() + (row + 1) * width);
  pool->counts.push_back(count);
  ++items.num_samples;
}

Status CheckCountColumn(const OrderedReader& reader, const std::string& column) {
  if (column.empty()) return Status();
  const arrow::DataType& type = *reader.extra_schema()->field(0)->type();
  if (IsIntegerType(type) || IsFloatingType(type) || IsStringType(type)) return Status();
  return InvalidArgument(fmt::format("count_column {}: expected numbers, found {}", column, type.ToString()));
}

}  // namespace

Job WithFeatures(const Job& job, const std::vector<std::string>& names) {
  Job reduced = job;
  reduced.clear_features();
  for (const FeatureConfig& feature : job.features()) {
    if (std::find(names.begin(), names.end(), feature.name()) != names.end()) *reduced.add_features() = feature;
  }
  return reduced;
}

Result<ItemPool> ReadItemPool(const Job& job, const SourceConfig& source, const NegativesConfig& negatives,
                              const FeatureExtractor& samples) {
  const std::vector<std::string> names(negatives.features().begin(), negatives.features().end());
  Job reduced = WithFeatures(job, names);
  // An item's values are no part of a sample's sequence.
  for (FeatureConfig& feature : *reduced.mutable_features()) {
    if (feature.has_sparse()) feature.mutable_sparse()->clear_group();
  }
  SourceConfig files = source;
  const std::string count_column = negatives.pool().count_column();
  if (negatives.has_pool()) {
    files.Clear();
    *files.mutable_uri() = negatives.pool().uri();
  }
  std::vector<std::string> extra;
  if (!count_column.empty()) extra.push_back(count_column);
  WEIR_ASSIGN_OR_RETURN(auto reader, OrderedReader::Open(reduced, files, /*with_label=*/false, extra));
  WEIR_RETURN_IF_ERROR(CheckCountColumn(*reader, count_column));

  LOG(INFO) << fmt::format("reading the pool of negatives: {} rows", reader->rows());
  ItemPool pool;
  pool.items = EmptyBatch(reduced);
  pool.features = FindFeatures(job, names);
  pool.id = SparseIndex(reduced, names[0]);
  pool.id_in_batch = SparseIndex(job, names[0]);
  int64_t left_out = 0;
  OrderedRows read;
  std::vector<double> counts;
  while (true) {
    WEIR_ASSIGN_OR_RETURN(const bool more, reader->Next(kReadRows, &read));
    if (!more) break;
    WEIR_RETURN_IF_ERROR(samples.CheckAgrees(*read.extractor).Wrap(read.path));
    Batch rows = EmptyBatch(reduced);
    std::vector<BadRow> bad;
    WEIR_RETURN_IF_ERROR(read.extractor->Extract(*read.rows, &rows, &bad).Wrap(read.path));
    std::vector<uint8_t> usable(rows.num_samples, 1);
    for (const BadRow& row : bad) usable[row.row] = row.is_kept();
    WEIR_RETURN_IF_ERROR(ReadCounts(read, count_column, usable, &counts));
    for (int64_t row = 0; row < rows.num_samples; ++row) {
      if (usable[row] && rows.sparse[pool.id].sample(row).size() == 1) {
        AddRow(rows, row, counts[row], &pool);
      } else {
        ++left_out;
      }
    }
  }
  LOG_IF(WARNING, left_out > 0) << fmt::format(
      "the pool of negatives leaves out {} rows without exactly one {} that can "
      "be used",
      left_out, names[0]);
  LOG(INFO) << fmt::format("the pool of negatives has {} items", pool.counts.size());
  if (pool.counts.empty()) {
    return InvalidArgument(fmt::format("expected at least one item, found {} rows without any", reader->rows()));
  }
  return pool;
}

}  // namespace weir
