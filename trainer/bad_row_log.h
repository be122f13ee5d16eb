// BadRowLog: what all workers know of the bad rows of training: how many an epoch has, their kinds, some of them.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "base/file_system.h"
#include "base/status.h"
#include "data_loader/loader.h"
#include "proto/bad_rows.pb.h"
#include "proto/checkpoint.pb.h"
#include "trainer/bad_row_counts.h"
#include "trainer/metrics_log.h"
#include "trainer/step.h"
#include "trainer/worker.h"

namespace weir {

// One per worker, one thread; all workers make the same calls. Only what was trained counts, never what was read ahead:
// the figures are those of the step, whatever the number of workers and resumes.
//
// Each step has the sum of all workers' bad rows with it (StepResult). Files, columns, reasons and samples travel
// seldom: at commits, at the end, and kReportSteps after a row was met. Rank 0 writes them to OUTPUT/bad_rows.jsonl
// (docs/formats.md).
class BadRowLog {
 public:
  static constexpr int64_t kReportSteps = 64;
  // Of each kind, since the run's first start.
  static constexpr int64_t kSamplesMax = 5;

  // `step`, `training`: what the run goes on from. The lines of later steps are cut off.
  static Result<std::unique_ptr<BadRowLog>> Open(const Worker& worker, FileSystem* file_system, int64_t step,
                                                 const TrainingState& training);

  // After each step: trained: this worker's part of it; result: that of all. InvalidArgument, the same on every worker,
  // when a row's policy is STOP, or the epoch has more than data.max_bad_rows.
  Status Step(int64_t step, const StepBatch& trained, const StepResult& result);

  // Before the commit of `step`, and at the end: reports what is not reported, and writes all counts that have changed.
  Status Commit(int64_t step, TrainingState* training);

  // Over all workers since the run's first start, as of the last report.
  const BadRowCounts& counts() const { return counts_; }

 private:
  BadRowLog(const Worker& worker, FileSystem* file_system) : worker_(worker), file_system_(file_system) {}

  void Note(int64_t step, const FileBadRow& row);
  // Every worker tells the others what it has noted since the last time.
  Status Report(int64_t step);
  // Rank 0 only, like the next.
  Status WriteSamples(const BadRowReport& report);
  Status WriteCounts(int64_t step);
  Status Write(int64_t step, std::vector<JsonField> fields);
  Status Judge(const StepBatch& trained, const StepResult& result) const;
  bool writes() const { return worker_.collective->rank() == 0; }

  const Worker worker_;
  FileSystem* const file_system_;
  std::unique_ptr<MetricsLog> log_;  // rank 0's; null until there is something to write
  int64_t epoch_rows_ = 0;           // of the epoch under way, over all workers
  int64_t unreported_rows_ = 0;      // over all workers
  int64_t reported_step_ = 0;
  BadRowCounts counts_;
  std::map<BadRowKind, int64_t> counts_written_;
  std::map<BadRowKind, int64_t> samples_written_;
  // This worker's, since the last report.
  BadRowCounts noted_;
  BadRowReport report_;  // its samples
};

}  // namespace weir
