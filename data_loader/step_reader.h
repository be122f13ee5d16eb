// StepReader: a worker's steps one after the other, over all epochs, up to the end or an error.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "base/status.h"
#include "data_loader/dataset.h"
#include "data_loader/loader.h"
#include "data_loader/step_source.h"

namespace weir {

// A step, or why there is none.
struct ReadStep {
  Status status;
  bool end = false;
  StepBatch step;
  std::vector<SkippedRow> skipped;

  bool is_last() const { return end || !status.ok(); }
};

// One thread at a time.
class StepReader {
 public:
  // Begins in an epoch, behind so many of its samples. dataset: outlives the reader.
  StepReader(const Job& job, const Dataset* dataset, const LoaderOptions& options, int64_t epoch, int64_t samples);

  // Not to be called after a last one.
  ReadStep Next();

 private:
  // False after the last epoch.
  Result<bool> Read(ReadStep* read);
  Status TooManyBadRows(const std::vector<SkippedRow>& skipped) const;

  const Dataset* const dataset_;
  const LoaderOptions options_;
  const Batch empty_;
  std::unique_ptr<StepSource> source_;
  int64_t epoch_;
  int64_t samples_;  // of the epoch that were read
  bool started_ = false;
  int64_t bad_of_epoch_ = 0;
};

}  // namespace weir
