// Loader: the lake as a worker sees it, one batch a step.
//
// The order of an epoch is a pure function of (seed, epoch, files with their sizes and row groups): row groups are
// dealt to streams, a stream permutes its rows block by block, and the samples of the epoch are the streams' rows taken
// in turn, one from each stream that still has rows. A step is the next batch_size of them. A worker owns whole streams
// (stream s belongs to worker s % num_workers) and gets those samples of the step that come from its own.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "base/status.h"
#include "batch/batch.h"
#include "batch/feature.h"
#include "data_loader/columns/bad_rows.h"
#include "proto/checkpoint.pb.h"
#include "proto/job.pb.h"

namespace weir {

struct LoaderOptions {
  int worker = 0;
  int num_workers = 1;
  int64_t batch_size = 0;  // samples of a step over all workers
  int64_t epochs = 1;
  bool shuffle = true;
  int streams = 16;  // raised to num_workers if that is more
  int64_t shuffle_rows = 16384;
  int64_t decode_rows = 8192;  // at a time: their columns stay in the cache between decoding and extraction
  int prefetch_batches = 4;
  uint64_t seed = 1;
  bool yields = false;  // the reading thread has a lower priority than the others of its process
  // Of this worker, in an epoch, counted in this process; and whether Next() ends with an error past it, and at a row
  // whose policy is STOP. Who judges over several workers sets false and looks at StepBatch::bad_rows.
  int64_t max_bad_rows = 0;
  bool stops_at_bad_rows = true;
  std::string id_column;                  // whose values are Batch::ids; empty for none
  int64_t wait_ns_max = 600'000'000'000;  // for one batch: cluster.progress_s
};

// Options for training and for evaluation (file order, one epoch) from the job.
LoaderOptions TrainingLoaderOptions(const Job& job, int worker, int num_workers);
LoaderOptions EvaluationLoaderOptions(const Job& job, int worker, int num_workers);

struct StepBatch {
  Batch batch;                  // this worker's samples; may be empty
  int64_t step_rows = 0;        // rows of the step over all workers, bad ones included; never 0
  int64_t epoch = 0;            // 0-based: of this step's samples
  int64_t epoch_rows_done = 0;  // rows of the epoch trained once this step is
  bool ends_epoch = false;
  // This worker's bad rows of the step. Those that are kept are in `batch` too.
  std::vector<FileBadRow> bad_rows;
};

// One consumer thread; owns the threads that read ahead.
class Loader {
 public:
  virtual ~Loader() = default;

  // Lists the files of `source`, checks their columns against the job's features, makes the plan and begins to read at
  // `start` (samples of an epoch already trained). Errors: NotFound (no files), InvalidArgument (a column is missing or
  // has the wrong type, an empty data set), DataLoss (a torn file), FailedPrecondition (`start.files` are not these
  // files).
  static Result<std::unique_ptr<Loader>> Open(const Job& job, const SourceConfig& source, const LoaderOptions& options,
                                              const LoaderPosition& start);

  // The next step's batch; false after the last step of the last epoch. All workers get the same number of steps.
  // DataLoss names the file and what was wrong with it; bad rows past the limit, or with the policy STOP, are
  // InvalidArgument.
  virtual Result<bool> Next(StepBatch* batch) = 0;

  // The position once `batch` is trained. Never what was read ahead.
  virtual LoaderPosition PositionAfter(const StepBatch& batch) const = 0;
  // Rows of one epoch over all workers.
  virtual int64_t epoch_rows() const = 0;
};

}  // namespace weir
