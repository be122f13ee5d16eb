#include "launch/lake_stats/lake_statistics.h"

#include <algorithm>
#include <memory>
#include <optional>
#include <utility>

#include <arrow/array.h>
#include <arrow/record_batch.h>
#include <arrow/type.h>
#include <fmt/format.h>

#include "base/parallel_for.h"
#include "data_loader/lake/lake_uri.h"
#include "launch/lake_rows.h"
#include "launch/read_ahead.h"
#include "launch/report/progress_line.h"

namespace weir {
namespace {

constexpr int64_t kBatchRows = KeyCounts::kValuesMax;

// What is read: all, or a share of about rows_max / rows in runs of at least a batch.
std::vector<RowGroupPart> PlanParts(const LakeFiles& files, int64_t rows, int64_t rows_max) {
  std::vector<RowGroupPart> parts;
  if (rows_max == 0 || rows_max >= rows) return WholeRowGroups(files);
  const double share = static_cast<double>(rows_max) / static_cast<double>(rows);
  double owed = 0;
  for (size_t f = 0; f < files.size(); ++f) {
    for (size_t g = 0; g < files[f]->row_groups().size(); ++g) {
      const int64_t group_rows = files[f]->row_groups()[g].rows;
      owed += share * static_cast<double>(group_rows);
      // A group is opened for a batch at least, so that few rows do not cost the decoding of all groups.
      const bool enough = owed + 0.5 >= static_cast<double>(std::min({group_rows, kBatchRows, rows_max}));
      if (group_rows == 0 || !enough) continue;
      const int64_t take = std::min(group_rows, static_cast<int64_t>(owed + 0.5));
      owed -= static_cast<double>(take);
      parts.push_back({f, static_cast<int>(g), take});
    }
  }
  return parts;
}

Status AddBatch(const arrow::RecordBatch& rows, const std::vector<std::string>& names,
                std::vector<std::unique_ptr<ColumnStatistics>>* columns) {
  std::vector<Status> statuses(columns->size());
  ParallelFor(static_cast<int64_t>(columns->size()), 1, [&](int64_t begin, int64_t end) {
    for (int64_t c = begin; c < end; ++c) {
      statuses[c] = (*columns)[c]->Add(rows.column(static_cast<int>(c)));
    }
  });
  for (size_t c = 0; c < statuses.size(); ++c) WEIR_RETURN_IF_ERROR(statuses[c].Wrap("column " + names[c]));
  return Status();
}

}  // namespace

Result<LakeSummary> ReadLakeStatistics(const DataConfig& config, const SourceConfig& source, int64_t rows_max) {
  WEIR_ASSIGN_OR_RETURN(const LakeFiles files, OpenLakeFiles(config, source));
  LakeSummary summary;
  // Pages are handed around: without user, password and query.
  for (const std::string& uri : source.uri()) summary.uris.push_back(ParseLakeUri(uri).Shown());
  summary.files = static_cast<int64_t>(files.size());
  for (const auto& file : files) summary.rows += file->rows();
  std::vector<RowGroupPart> parts = PlanParts(files, summary.rows, rows_max);
  for (const RowGroupPart& part : parts) summary.rows_read += part.rows;

  const arrow::Schema& schema = *files[0]->schema();
  std::vector<std::unique_ptr<ColumnStatistics>> columns;
  for (const auto& field : schema.fields()) {
    columns.push_back(std::make_unique<ColumnStatistics>(field, IsText(*field)));
  }
  LakeRows rows(&files, std::move(parts), kBatchRows);
  ProgressLine progress;
  int64_t rows_done = 0;
  const auto next = [&]() -> Result<std::optional<std::shared_ptr<arrow::RecordBatch>>> {
    WEIR_ASSIGN_OR_RETURN(std::shared_ptr<arrow::RecordBatch> batch, rows.Next());
    if (batch == nullptr) return std::optional<std::shared_ptr<arrow::RecordBatch>>();
    return std::optional(std::move(batch));
  };
  const auto count = [&](const std::shared_ptr<arrow::RecordBatch>& batch) -> Status {
    WEIR_RETURN_IF_ERROR(AddBatch(*batch, schema.field_names(), &columns));
    rows_done += batch->num_rows();
    progress.Update(rows_done, static_cast<double>(rows_done) / static_cast<double>(summary.rows_read));
    return Status();
  };
  WEIR_RETURN_IF_ERROR(ReadAhead<std::shared_ptr<arrow::RecordBatch>>(next, count));
  for (const auto& column : columns) summary.columns.push_back(column->Summarize());
  return summary;
}

}  // namespace weir
