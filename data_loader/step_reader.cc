#include "data_loader/step_reader.h"

#include <algorithm>
#include <utility>

#include <fmt/format.h>

#include "data_loader/extractor.h"

namespace weir {

StepReader::StepReader(const Job& job, const Dataset* dataset, const LoaderOptions& options, int64_t epoch,
                       int64_t samples)
    : dataset_(dataset),
      options_(options),
      empty_(EmptyBatch(job)),
      source_(MakeStepSource(job, dataset, options)),
      epoch_(epoch),
      samples_(samples) {}

ReadStep StepReader::Next() {
  ReadStep read;
  const Result<bool> more = Read(&read);
  read.status = more.status();
  read.end = more.ok() && !*more;
  return read;
}

Result<bool> StepReader::Read(ReadStep* read) {
  while (epoch_ < options_.epochs && samples_ == dataset_->rows()) {
    ++epoch_;
    samples_ = 0;
    started_ = false;
  }
  if (epoch_ >= options_.epochs) return false;
  if (!started_) {
    bad_of_epoch_ = 0;
    WEIR_RETURN_IF_ERROR(source_->StartEpoch(epoch_, samples_));
    started_ = true;
  }
  StepBatch& step = read->step;
  step.batch = empty_;
  step.step_rows = std::min(options_.batch_size, dataset_->rows() - samples_);
  WEIR_RETURN_IF_ERROR(source_->Fill(step.step_rows, &step.batch, &read->skipped));
  samples_ += step.step_rows;
  step.epoch = epoch_;
  step.epoch_rows_done = samples_;
  step.ends_epoch = samples_ == dataset_->rows();
  bad_of_epoch_ += static_cast<int64_t>(read->skipped.size());
  if (bad_of_epoch_ > options_.max_bad_rows) return TooManyBadRows(read->skipped);
  return true;
}

// Names the row that went past the limit.
Status StepReader::TooManyBadRows(const std::vector<SkippedRow>& skipped) const {
  const SkippedRow& row = skipped[skipped.size() - static_cast<size_t>(bad_of_epoch_ - options_.max_bad_rows)];
  return InvalidArgument(
      fmt::format("{}: row {}: column {} {}: found '{}'; this is bad row {} of the epoch for worker {}, and "
                  "data.max_bad_rows is {}: "
                  "mend the data, or raise data.max_bad_rows to skip such rows",
                  dataset_->file(row.file).path(), row.row + 1, row.column, row.reason, row.value,
                  options_.max_bad_rows + 1, options_.worker, options_.max_bad_rows));
}

}  // namespace weir
