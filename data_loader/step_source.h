// StepSource: this worker's samples of each step, in the order of the plan.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "base/status.h"
#include "batch/batch.h"
#include "data_loader/dataset.h"
#include "data_loader/loader.h"

namespace weir {

// One thread. Epochs may be begun anew at any time.
class StepSource {
 public:
  virtual ~StepSource() = default;
  // The next step begins at sample `samples` of epoch `epoch`.
  virtual Status StartEpoch(int64_t epoch, int64_t samples) = 0;
  // Appends this worker's part of the epoch's next step_rows samples to *out, sample_index included; the bad ones among
  // them go to *bad, and are left out unless they are kept. The steps of an epoch must not ask for more than its rows.
  virtual Status Fill(int64_t step_rows, Batch* out, std::vector<FileBadRow>* bad) = 0;
};

// Shuffled when options.shuffle says so: worker w then owns the streams s with s % num_workers == w. Otherwise the
// files' order: worker w has the w-th of num_workers even runs of each step's rows; all workers decode the row groups
// that their steps touch, but each row's values are extracted once in the job. dataset: must outlive the source.
std::unique_ptr<StepSource> MakeStepSource(const Job& job, const Dataset* dataset, const LoaderOptions& options);

}  // namespace weir
