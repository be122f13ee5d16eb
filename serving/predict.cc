#include "serving/predict.h"

#include <unistd.h>

#include <memory>
#include <utility>

#include <arrow/api.h>
#include <fmt/format.h>
#include <parquet/arrow/writer.h>

#include "checkpoint/arrow_io.h"
#include "data_loader/reader.h"
#include "serving/scorer.h"

namespace weir {
namespace {

constexpr char kScoreColumn[] = "score";
constexpr int64_t kRowGroupRows = 1 << 20;

// The output: the chosen columns and the score, one record batch at a time, under a temporary name until it is whole.
class ScoreFile {
 public:
  ScoreFile(FileSystem* file_system, std::string path, const arrow::Schema& columns)
      : file_system_(file_system), path_(std::move(path)), temporary_(fmt::format("{}.tmp-{}", path_, ::getpid())) {
    arrow::FieldVector fields = columns.fields();
    fields.push_back(arrow::field(kScoreColumn, arrow::float32()));
    schema_ = arrow::schema(fields);
  }
  ~ScoreFile() {
    if (sink_ && !finished_) file_system_->RemoveAll(temporary_).IgnoreError();
  }

  Status Open() {
    if (file_system_->Exists(path_)) return AlreadyExists(path_ + " exists: give another --out or remove it");
    WEIR_ASSIGN_OR_RETURN(sink_, FileSink::Create(file_system_, temporary_));
    auto properties = parquet::WriterProperties::Builder().enable_page_checksum()->build();
    auto writer = parquet::arrow::FileWriter::Open(*schema_, arrow::default_memory_pool(), sink_, properties);
    if (!writer.ok()) return sink_->Explain(writer.status());
    writer_ = std::move(*writer);
    return Status();
  }

  // scores: one a row of `rows`; null where `usable` is false.
  Status Write(const arrow::RecordBatch& rows, const std::vector<float>& scores, const std::vector<bool>& usable) {
    arrow::ArrayVector columns;
    for (int i = 0; i + 1 < schema_->num_fields(); ++i) {
      columns.push_back(rows.GetColumnByName(schema_->field(i)->name()));
    }
    arrow::FloatBuilder builder;
    WEIR_RETURN_IF_ERROR(sink_->Explain(builder.AppendValues(scores, usable)));
    std::shared_ptr<arrow::Array> score;
    WEIR_RETURN_IF_ERROR(sink_->Explain(builder.Finish(&score)));
    columns.push_back(score);
    pending_.push_back(arrow::RecordBatch::Make(schema_, rows.num_rows(), columns));
    pending_rows_ += rows.num_rows();
    return pending_rows_ >= kRowGroupRows ? WriteRowGroup() : Status();
  }

  Status Finish() {
    WEIR_RETURN_IF_ERROR(WriteRowGroup());
    WEIR_RETURN_IF_ERROR(sink_->Explain(writer_->Close()));
    DataFile entry;
    WEIR_RETURN_IF_ERROR(sink_->Finish(&entry));
    WEIR_RETURN_IF_ERROR(file_system_->Rename(temporary_, path_));
    finished_ = true;
    return Status();
  }

 private:
  Status WriteRowGroup() {
    if (pending_.empty()) return Status();
    auto table = arrow::Table::FromRecordBatches(schema_, pending_);
    if (!table.ok()) return sink_->Explain(table.status());
    pending_.clear();
    pending_rows_ = 0;
    return sink_->Explain(writer_->WriteTable(**table, kRowGroupRows));
  }

  FileSystem* const file_system_;
  const std::string path_;
  const std::string temporary_;
  std::shared_ptr<arrow::Schema> schema_;
  std::shared_ptr<FileSink> sink_;
  std::unique_ptr<parquet::arrow::FileWriter> writer_;
  std::vector<std::shared_ptr<arrow::RecordBatch>> pending_;  // of the row group under way
  int64_t pending_rows_ = 0;
  bool finished_ = false;
};

// OK unless one of the bad rows has the policy STOP.
Status CheckNoneStops(const OrderedRows& rows, const std::vector<BadRow>& bad) {
  for (const BadRow& row : bad) {
    if (row.policy != DataConfig::STOP) continue;
    FileBadRow of_file{&rows.path, row, std::string()};
    of_file.fault.row += rows.first_row;
    return StoppedByBadRow(of_file);
  }
  return Status();
}

}  // namespace

Result<PredictReport> Predict(FileSystem* file_system, const Job& job, const PredictOptions& options) {
  if (job.data().eval().uri().empty()) {
    return InvalidArgument("expected data.eval.uri to name the files to score, found nothing: add data.eval.uri=PATH");
  }
  for (const std::string& column : options.columns) {
    if (column == kScoreColumn) return InvalidArgument("--columns: the score takes the name \"score\" itself");
  }
  Result<std::unique_ptr<OrderedReader>> reader =
      OrderedReader::Open(job, job.data().eval(), /*with_label=*/false, options.columns);
  if (!reader.ok()) return reader.status().Wrap("data.eval");
  ScoreFile out(file_system, options.out, *(*reader)->extra_schema());
  WEIR_RETURN_IF_ERROR(out.Open());
  WEIR_ASSIGN_OR_RETURN(auto scorer, Scorer::Load(file_system, job, options.checkpoint));

  PredictReport report;
  OrderedRows rows;
  std::vector<float> scores;
  while (true) {
    WEIR_ASSIGN_OR_RETURN(bool more, (*reader)->Next(options.batch_rows, &rows));
    if (!more) break;
    Batch batch = EmptyBatch(job);
    std::vector<BadRow> bad;
    WEIR_RETURN_IF_ERROR(rows.extractor->Extract(*rows.rows, &batch, &bad));
    WEIR_RETURN_IF_ERROR(CheckNoneStops(rows, bad));
    WEIR_RETURN_IF_ERROR(scorer->Score(batch, &scores));
    std::vector<bool> usable(scores.size(), true);
    for (const BadRow& row : bad) usable[row.row] = row.is_kept();
    WEIR_RETURN_IF_ERROR(out.Write(*rows.rows, scores, usable));
    report.rows += batch.num_samples;
    report.bad_rows += bad.size();
    options.on_progress(report.rows);
  }
  WEIR_RETURN_IF_ERROR(out.Finish());
  return report;
}

}  // namespace weir
