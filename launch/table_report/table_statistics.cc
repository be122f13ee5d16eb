#include "launch/table_report/table_statistics.h"

#include <algorithm>
#include <cmath>
#include <memory>

#include <fmt/format.h>

#include "checkpoint/manifest.h"
#include "checkpoint/row_file_reader.h"
#include "embeddings/table_set.h"
#include "proto/nearest_name.h"

namespace weir {
namespace {

constexpr int64_t kLastStepAndCountBytes = 12;  // 48 bits each

// [dim] weights of one row.
void AddWeights(const float* weights, int dim, TableStatistics* table) {
  double sum_of_squares = 0;
  int zeros = 0, nans = 0, infinities = 0;
  for (int i = 0; i < dim; ++i) {
    const double weight = weights[i];
    sum_of_squares += weight * weight;
    zeros += weight == 0;
    nans += std::isnan(weight);
    infinities += std::isinf(weight);
  }
  table->zero_weights += zeros;
  table->nan_weights += nans;
  table->infinite_weights += infinities;
  table->zero_rows += zeros == dim;
  if (nans + infinities > 0) {
    ++table->broken_rows;
  } else {
    table->norms.Add(std::sqrt(sum_of_squares));
  }
}

// step: the checkpoint's.
Status AddRows(const RowBatch& batch, int64_t step, const std::string& path, TableStatistics* table) {
  const int virtual_shards = static_cast<int>(table->shard_rows.size());
  for (int64_t i = 0; i < batch.num_rows; ++i) {
    if (batch.last_steps[i] > step) {
      return DataLoss(fmt::format("{}: table \"{}\", key {}: expected a last step of at most {}, found {}", path,
                                  table->table, batch.keys[i], step, batch.last_steps[i]));
    }
    table->ages.Add(static_cast<double>(step - batch.last_steps[i]));
    table->counts.Add(static_cast<double>(batch.counts[i]));
    table->once_rows += batch.counts[i] == 1;
    ++table->shard_rows[VirtualShard(batch.keys[i], virtual_shards)];
    AddWeights(batch.columns[0] + i * table->layout.dim, table->layout.dim, table);
  }
  table->rows += batch.num_rows;
  return Status();
}

Status ReadTable(FileSystem* file_system, const std::string& path, const Manifest& manifest, TableStatistics* table,
                 const std::function<void(int64_t)>& on_block) {
  const int virtual_shards = manifest.hash_rule().virtual_shards();
  table->shard_rows.resize(virtual_shards);
  for (const DataFile& file : RowFilesOf(manifest, table->table)) {
    WEIR_ASSIGN_OR_RETURN(
        auto reader, RowFileReader::Open(file_system, path, file, {table->table, table->layout, {}, virtual_shards}));
    table->file_bytes += static_cast<int64_t>(file.bytes());
    while (true) {
      WEIR_ASSIGN_OR_RETURN(RowBatch batch, reader->Next());
      if (batch.num_rows == 0) break;
      WEIR_RETURN_IF_ERROR(AddRows(batch, manifest.step(), reader->path(), table));
      on_block(table->rows);
    }
  }
  table->weight_bytes = table->rows * table->layout.weight_bytes();
  table->state_bytes = table->rows * (kLastStepAndCountBytes + int64_t{table->layout.state_width()} * 4);
  table->index_bytes = EstimateIndexBytes(table->shard_rows);
  return Status();
}

}  // namespace

int64_t TableStatistics::shard_rows_min() const { return *std::min_element(shard_rows.begin(), shard_rows.end()); }

int64_t TableStatistics::shard_rows_max() const { return *std::max_element(shard_rows.begin(), shard_rows.end()); }

int64_t EstimateIndexBytes(const std::vector<int64_t>& shard_rows) {
  constexpr int64_t kBucketBytes = 64, kSlots = 7, kBucketsMax = 1 << 13;
  auto keys_max = [](int64_t buckets) { return kSlots * buckets * 7 / 8; };
  int64_t bytes = 0;
  for (const int64_t rows : shard_rows) {
    if (rows == 0) continue;
    int64_t segments = 1;
    while ((rows + segments - 1) / segments > keys_max(kBucketsMax)) segments *= 2;
    int64_t buckets = 1;
    while ((rows + segments - 1) / segments > keys_max(buckets)) buckets *= 2;
    bytes += segments * buckets * kBucketBytes;
  }
  return bytes;
}

Result<std::vector<TableStatistics>> ReadTableStatistics(FileSystem* file_system, const std::string& path,
                                                         const Manifest& manifest, const std::string& only,
                                                         const std::function<void(int64_t)>& on_block) {
  std::vector<TableStatistics> tables;
  std::vector<std::string> known;
  for (const TableSummary& summary : manifest.tables()) {
    known.push_back(summary.name());
    if (!only.empty() && summary.name() != only) continue;
    TableStatistics table;
    table.table = summary.name();
    table.layout = LayoutOf(summary);
    WEIR_RETURN_IF_ERROR(ReadTable(file_system, path, manifest, &table, on_block).Wrap("reading " + path));
    tables.push_back(std::move(table));
  }
  if (tables.empty() && !only.empty()) {
    return NotFound(fmt::format("{}: no table \"{}\"{}", path, only, SuggestName(only, known)));
  }
  return tables;
}

}  // namespace weir
