// Train: a run from its start, or its last commit, to its end.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>

#include "base/clock.h"
#include "base/file_system.h"
#include "base/status.h"
#include "trainer/worker.h"

namespace weir {

struct TrainOptions {
  FileSystem* file_system = &LocalFileSystem();
  const Clock* clock = &SystemClock();
  // Whether somebody asked this worker to stop; the run then commits after the step under way.
  std::function<bool()> stop_asked = [] { return false; };
  // Called on every worker once the run goes on, resumed or fresh, before its first step.
  std::function<Status()> on_accepted = [] { return Status(); };
  // Told of each thing finished ("step", 57), for a watchdog; `what` is a literal.
  std::function<void(const char* what, int64_t number)> on_progress = [](const char*, int64_t) {};
};

// What a run comes to; the same on every worker but for samples_per_s, which is rank 0's.
struct TrainReport {
  int64_t samples = 0;            // trained since the run's first start, over all workers
  int64_t steps = 0;              // the last step
  double samples_per_s = 0;       // of this process: from the end of its step 20 to the last push applied
  std::optional<double> logloss;  // of the best evaluation; absent without data.eval
  std::optional<double> auc;
  int64_t rows = 0;           // over all tables and owners
  std::string checkpoint;     // the best with data.eval, else the last
  int64_t bad_rows = 0;       // of the samples: skipped, or trained with a default in a value's place
  bool complete = false;      // false when stopped on request
  bool was_complete = false;  // nothing was trained: an earlier run had completed
};

// job.output/checkpoints.
std::string CheckpointRoot(const Job& job);

// All workers call. Rank 0 shows progress and writes job.output/{metrics.jsonl,events,bad_rows.jsonl};
// each writes its part of job.output/ledger where the job asks for one.
Result<TrainReport> Train(const Worker& worker, const TrainOptions& options);

}  // namespace weir
