// Reporter: what rank 0 tells of a run: the progress line, metrics.jsonl and TensorBoard's events.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/file_system.h"
#include "base/status.h"
#include "embeddings/store.h"
#include "trainer/bad_row_counts.h"
#include "trainer/metrics.h"
#include "trainer/metrics_log.h"
#include "trainer/progress.h"
#include "trainer/step.h"
#include "trainer/tensorboard.h"

namespace weir {

// One thread. Writes into job.output: metrics.jsonl, and events/ unless metrics.tensorboard is false.
class Reporter {
 public:
  // `step`: the last one already trained; later lines of an earlier run are cut off.
  static Result<std::unique_ptr<Reporter>> Open(const Job& job, FileSystem* file_system, const Clock* clock,
                                                int64_t step);

  // epoch_rows: for the total of the progress line. samples: trained before this process.
  void SetTotals(int64_t epoch_rows, int64_t samples) {
    epoch_rows_ = epoch_rows;
    point_samples_ = samples;
  }

  // Whether the next Step writes a point, which then wants the store's stats.
  bool PointIsDue() const;
  // After each step; writes a point every metrics.every_s. `samples`: trained since the run's first start. stats: null
  // where no point is due. bad_rows: of all workers, as far as they are reported.
  Status Step(int64_t step, const LoaderPosition& position, int64_t samples, const StepResult& result,
              const StoreStats* stats, const BadRowCounts& bad_rows);
  Status Evaluated(const Evaluation& evaluation);
  void Committed(const std::string& path, int64_t step);

  // The last point, with what this worker's store did.
  Status Close(double samples_per_s, const StoreStats& stats, const BadRowCounts& bad_rows);

 private:
  Reporter(const Job& job, const Clock* clock);

  // One line of metrics.jsonl, and each number as a scalar "GROUP/NAME".
  // What the tables hold that have limits.
  Status WriteTables(int64_t step, const StoreStats& stats);
  // The counts, where there are others than at the last point.
  Status WriteBadRows(int64_t step, const BadRowCounts& bad_rows);
  Status WriteStaleness(int64_t step, const StoreStats& stats);
  // What each server holds and does, and how unlike they are.
  Status WriteServers(int64_t step, const StoreStats& stats);
  Status Write(const std::string& group, int64_t step, const std::vector<JsonField>& fields);

  const Job& job_;
  const Clock* const clock_;
  int64_t epoch_rows_ = 0;
  Progress progress_;
  RollingWindow window_;
  std::unique_ptr<MetricsLog> log_;
  std::unique_ptr<EventWriter> events_;  // null when switched off

  int64_t last_step_ = 0;
  // Of the steps since the last point, over all workers.
  double loss_sum_ = 0;
  double weight_ = 0;
  int64_t point_samples_ = 0;
  int64_t point_ns_ = 0;
  int64_t bad_rows_ = 0;         // at the last point
  int64_t table_bytes_ = 0;      // at the last point
  int64_t table_bytes_max_ = 0;  // the budgets; 0 unless every table has one
};

}  // namespace weir
