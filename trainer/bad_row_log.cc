#include "trainer/bad_row_log.h"

#include <algorithm>
#include <utility>

#include <fmt/format.h>

#include "base/bytes.h"
#include "trainer/agreement.h"

namespace weir {

Result<std::unique_ptr<BadRowLog>> BadRowLog::Open(const Worker& worker, FileSystem* file_system, int64_t step,
                                                   const TrainingState& training) {
  std::unique_ptr<BadRowLog> made(new BadRowLog(worker, file_system));
  made->epoch_rows_ = training.epoch_bad_rows();
  made->reported_step_ = step;
  made->counts_.Add(training.bad_rows());
  for (const auto& [kind, rows] : made->counts_.kinds()) {
    made->counts_written_[kind] = rows;
    made->samples_written_[kind] = std::min(rows, kSamplesMax);
  }
  const std::string path = JoinPath(worker.job->output(), "bad_rows.jsonl");
  if (made->writes() && file_system->Exists(path)) {
    WEIR_ASSIGN_OR_RETURN(made->log_, MetricsLog::Open(*file_system, path, step));
  }
  return made;
}

Status BadRowLog::Step(int64_t step, const StepBatch& trained, const StepResult& result) {
  for (const FileBadRow& row : trained.bad_rows) Note(step, row);
  epoch_rows_ += result.bad_rows;
  unreported_rows_ += result.bad_rows;
  // All workers have the same sums, so all come to the same end here.
  const bool ends = result.stop_rows > 0 || epoch_rows_ > worker_.job->data().max_bad_rows();
  if (ends || (unreported_rows_ > 0 && step - reported_step_ >= kReportSteps)) WEIR_RETURN_IF_ERROR(Report(step));
  if (ends) {
    if (writes()) WEIR_RETURN_IF_ERROR(WriteCounts(step));
    return Judge(trained, result);
  }
  if (trained.ends_epoch) epoch_rows_ = 0;
  return Status();
}

// Those who met such rows in this step name one.
Status BadRowLog::Judge(const StepBatch& trained, const StepResult& result) const {
  Status mine;
  for (const FileBadRow& row : trained.bad_rows) {
    if (result.stop_rows == 0) mine = TooManyBadRows(row, epoch_rows_, worker_.job->data().max_bad_rows());
    if (result.stop_rows > 0 && row.fault.policy == DataConfig::STOP) mine = StoppedByBadRow(row);
    if (!mine.ok()) break;
  }
  WEIR_RETURN_IF_ERROR(AgreeOnStatus(*worker_.collective, mine));
  if (result.stop_rows == 0 && result.bad_rows == 0) {
    return InvalidArgument(
        fmt::format("expected at most {} bad rows in the epoch (data.max_bad_rows), found {} by the "
                    "commit that is gone on from: raise the limit",
                    worker_.job->data().max_bad_rows(), epoch_rows_));
  }
  return Internal("bad rows were counted that no worker has");
}

void BadRowLog::Note(int64_t step, const FileBadRow& row) {
  const BadRow& fault = row.fault;
  const BadRowKind kind = noted_.Add({*row.path, fault.column, fault.reason}, 1);
  if (noted_.kinds().at(kind) > kSamplesMax) return;
  BadRowSample* sample = report_.add_samples();
  sample->set_step(step);
  sample->set_file(*row.path);
  sample->set_row(fault.row);
  sample->set_column(fault.column);
  sample->set_reason(fault.reason);
  sample->set_value(fault.value);
  sample->set_policy(fault.policy);
}

Status BadRowLog::Report(int64_t step) {
  noted_.Save(report_.mutable_counts());
  const std::string mine = report_.SerializeAsString();
  report_.Clear();
  noted_.Clear();
  reported_step_ = step;
  unreported_rows_ = 0;
  WEIR_ASSIGN_OR_RETURN(const auto all, worker_.collective->AllGather(BytesOf(mine)));
  for (size_t rank = 0; rank < all.size(); ++rank) {
    BadRowReport report;
    if (!report.ParseFromArray(all[rank].data(), static_cast<int>(all[rank].size()))) {
      return Internal(fmt::format("the report of bad rows of worker {} cannot be read", rank));
    }
    counts_.Add(report.counts());
    if (writes()) WEIR_RETURN_IF_ERROR(WriteSamples(report));
  }
  return Status();
}

Status BadRowLog::WriteSamples(const BadRowReport& report) {
  for (const BadRowSample& sample : report.samples()) {
    BadRowKind kind{sample.file(), sample.column(), sample.reason()};
    if (!counts_.kinds().contains(kind)) kind = {"others", "others", "others"};
    if (samples_written_[kind]++ >= kSamplesMax) continue;
    WEIR_RETURN_IF_ERROR(Write(sample.step(), {{"kind", "row"},
                                               {"file", sample.file()},
                                               {"row", static_cast<int64_t>(sample.row() + 1)},
                                               {"column", sample.column()},
                                               {"reason", sample.reason()},
                                               {"value", sample.value()},
                                               {"policy", DataConfig::BadRowPolicy_Name(sample.policy())}}));
  }
  return Status();
}

Status BadRowLog::WriteCounts(int64_t step) {
  for (const auto& [kind, rows] : counts_.kinds()) {
    if (std::exchange(counts_written_[kind], rows) == rows) continue;
    WEIR_RETURN_IF_ERROR(Write(
        step,
        {{"kind", "count"}, {"file", kind.file}, {"column", kind.column}, {"reason", kind.reason}, {"rows", rows}}));
  }
  return Status();
}

Status BadRowLog::Write(int64_t step, std::vector<JsonField> fields) {
  if (!log_) {
    WEIR_ASSIGN_OR_RETURN(
        log_, MetricsLog::Open(*file_system_, JoinPath(worker_.job->output(), "bad_rows.jsonl"), /*step=*/0));
  }
  return log_->Append(step, fields);
}

Status BadRowLog::Commit(int64_t step, TrainingState* training) {
  if (unreported_rows_ > 0) WEIR_RETURN_IF_ERROR(Report(step));
  if (writes()) WEIR_RETURN_IF_ERROR(WriteCounts(step));
  training->set_epoch_bad_rows(epoch_rows_);
  counts_.Save(training->mutable_bad_rows());
  return Status();
}

}  // namespace weir
