#include "launch/lake_stats/lake_statistics.h"

#include <algorithm>
#include <memory>
#include <thread>
#include <utility>

#include <arrow/array.h>
#include <arrow/record_batch.h>
#include <arrow/type.h>
#include <fmt/format.h>

#include "base/bounded_queue.h"
#include "base/clock.h"
#include "base/parallel_for.h"
#include "data_loader/formats/lake_file.h"
#include "launch/report/progress_line.h"
#include "launch/stop_signal.h"

namespace weir {
namespace {

constexpr int64_t kBatchRows = KeyCounts::kValuesMax;
constexpr size_t kBatchesAhead = 4;
// How long a thread waits before it looks again; no deadline: the other thread is of this process and closes the queue.
constexpr int64_t kLookNs = kNanosPerSecond;

// Rows [0, rows) of a row group.
struct Part {
  size_t file = 0;
  int group = 0;
  int64_t rows = 0;
};

struct DecodedBatch {
  std::shared_ptr<arrow::RecordBatch> rows;  // null at the end
  Status status;
};

using Files = std::vector<std::unique_ptr<LakeFile>>;

Status CheckSameColumns(const LakeFile& file, const LakeFile& first) {
  for (const auto& expected : first.schema()->fields()) {
    const auto found = file.schema()->GetFieldByName(expected->name());
    if (found != nullptr && found->type()->Equals(*expected->type())) continue;
    return InvalidArgument(fmt::format("{}: expected column {} of type {} as in {}, found {}", file.path(),
                                       expected->name(), expected->type()->ToString(), first.path(),
                                       found == nullptr ? std::string("none") : found->type()->ToString()));
  }
  return Status();
}

Result<Files> OpenFiles(const DataConfig& config, const SourceConfig& source) {
  WEIR_ASSIGN_OR_RETURN(const std::vector<LakeEntry> entries, ListFiles(source));
  Files files;
  for (const LakeEntry& entry : entries) {
    if (StopAsked()) return Aborted("stopped by a signal");
    WEIR_ASSIGN_OR_RETURN(std::unique_ptr<LakeFile> file, LakeFile::Open(entry, config));
    if (!files.empty()) WEIR_RETURN_IF_ERROR(CheckSameColumns(*file, *files[0]));
    files.push_back(std::move(file));
  }
  return files;
}

// What is read: all, or a share of about rows_max / rows in runs of at least a batch.
std::vector<Part> PlanParts(const Files& files, int64_t rows, int64_t rows_max) {
  std::vector<Part> parts;
  const double share = rows_max > 0 && rows_max < rows ? static_cast<double>(rows_max) / static_cast<double>(rows) : 1;
  double owed = 0;
  for (size_t f = 0; f < files.size(); ++f) {
    for (size_t g = 0; g < files[f]->row_groups().size(); ++g) {
      const int64_t group_rows = files[f]->row_groups()[g].rows;
      owed += share * static_cast<double>(group_rows);
      // A group is opened for a batch at least, so that few rows do not cost the decoding of all groups.
      const bool enough = owed >= static_cast<double>(std::min({group_rows, kBatchRows, rows_max}));
      if (group_rows == 0 || (share < 1 && !enough)) continue;
      const int64_t take = share < 1 ? std::min(group_rows, static_cast<int64_t>(owed + 0.5)) : group_rows;
      owed -= static_cast<double>(take);
      parts.push_back({f, static_cast<int>(g), take});
    }
  }
  return parts;
}

// False when the queue was closed.
bool PushBatch(BoundedQueue<DecodedBatch>* queue, DecodedBatch batch) {
  QueueOutcome outcome = QueueOutcome::kTimedOut;
  while (outcome == QueueOutcome::kTimedOut) outcome = queue->Push(batch, kLookNs);
  return outcome == QueueOutcome::kDone;
}

Status ReadPart(const LakeFile& file, const Part& part, const std::vector<std::string>& columns,
                BoundedQueue<DecodedBatch>* queue, bool* closed) {
  WEIR_ASSIGN_OR_RETURN(std::unique_ptr<RowReader> reader,
                        file.Read(part.group, 0, part.rows, columns, std::min(part.rows, kBatchRows)));
  while (!*closed) {
    WEIR_ASSIGN_OR_RETURN(std::shared_ptr<arrow::RecordBatch> rows, reader->Next());
    if (rows == nullptr) return Status();
    *closed = !PushBatch(queue, {std::move(rows), Status()});
  }
  return Status();
}

void ReadParts(const Files& files, const std::vector<Part>& parts, const std::vector<std::string>& columns,
               BoundedQueue<DecodedBatch>* queue) {
  bool closed = false;
  for (const Part& part : parts) {
    const Status status = ReadPart(*files[part.file], part, columns, queue, &closed);
    if (closed) return;
    if (!status.ok()) {
      PushBatch(queue, {nullptr, status});
      return;
    }
  }
  PushBatch(queue, {});
}

Status AddBatch(const arrow::RecordBatch& rows, const std::vector<std::string>& names,
                std::vector<std::unique_ptr<ColumnStatistics>>* columns) {
  std::vector<Status> statuses(columns->size());
  ParallelFor(static_cast<int64_t>(columns->size()), 1, [&](int64_t begin, int64_t end) {
    for (int64_t c = begin; c < end; ++c) {
      const std::shared_ptr<arrow::Array> column = rows.GetColumnByName(names[c]);
      statuses[c] =
          column == nullptr ? Internal("a column that was asked for did not come") : (*columns)[c]->Add(column);
    }
  });
  for (size_t c = 0; c < statuses.size(); ++c) WEIR_RETURN_IF_ERROR(statuses[c].Wrap("column " + names[c]));
  return Status();
}

Status CountAll(BoundedQueue<DecodedBatch>* queue, int64_t rows_planned, const std::vector<std::string>& names,
                std::vector<std::unique_ptr<ColumnStatistics>>* columns) {
  ProgressLine progress;
  int64_t rows = 0;
  while (true) {
    if (StopAsked()) return Aborted("stopped by a signal");
    DecodedBatch batch;
    if (queue->Pop(&batch, kLookNs) != QueueOutcome::kDone) continue;
    WEIR_RETURN_IF_ERROR(batch.status);
    if (batch.rows == nullptr) return Status();
    WEIR_RETURN_IF_ERROR(AddBatch(*batch.rows, names, columns));
    rows += batch.rows->num_rows();
    progress.Update(rows, static_cast<double>(rows) / static_cast<double>(rows_planned));
  }
}

}  // namespace

Result<LakeSummary> ReadLakeStatistics(const DataConfig& config, const SourceConfig& source, int64_t rows_max) {
  WEIR_ASSIGN_OR_RETURN(const Files files, OpenFiles(config, source));
  LakeSummary summary;
  summary.uris.assign(source.uri().begin(), source.uri().end());
  summary.files = static_cast<int64_t>(files.size());
  for (const auto& file : files) summary.rows += file->rows();
  const std::vector<Part> parts = PlanParts(files, summary.rows, rows_max);
  for (const Part& part : parts) summary.rows_read += part.rows;

  const arrow::Schema& schema = *files[0]->schema();
  const std::vector<std::string> names = schema.field_names();
  std::vector<std::unique_ptr<ColumnStatistics>> columns;
  for (const auto& field : schema.fields())
    columns.push_back(std::make_unique<ColumnStatistics>(field, IsText(schema)));
  for (size_t c = 0; c < names.size(); ++c) {
    if (std::find(names.begin(), names.begin() + c, names[c]) != names.begin() + c) {
      return InvalidArgument(fmt::format("{}: two columns are named \"{}\"", files[0]->path(), names[c]));
    }
  }

  BoundedQueue<DecodedBatch> queue(kBatchesAhead);
  std::thread reader([&] { ReadParts(files, parts, names, &queue); });
  const Status status = CountAll(&queue, summary.rows_read, names, &columns);
  queue.Close();
  reader.join();
  WEIR_RETURN_IF_ERROR(status);
  for (const auto& column : columns) summary.columns.push_back(column->Summarize());
  return summary;
}

}  // namespace weir
