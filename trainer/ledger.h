// Ledger: which samples a run has trained, by the ids of data.ledger.column: OUTPUT/ledger (docs/formats.md, "Ledger").
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "base/file_system.h"
#include "base/status.h"
#include "data_loader/loader.h"
#include "proto/checkpoint.pb.h"
#include "trainer/worker.h"

namespace weir {

// One per worker, one thread; all workers make the same calls. A process writes a file of its own, so nothing is ever
// appended to a dead one's; what a commit vouches for are the lengths of all files, in its manifest. Memory: one step's
// ids.
class Ledger {
 public:
  // Cuts the files of earlier processes back to what the commit of `step` has of them, and removes those that it does
  // not have: rank 0 does it, for the files of all workers there ever were. Null without data.ledger. DataLoss when a
  // file is missing or shorter than the commit says.
  static Result<std::unique_ptr<Ledger>> Open(const Worker& worker, FileSystem* file_system, int64_t step,
                                              const TrainingState& training);

  // Enters the samples of a step that this worker has trained, and the rows that it skipped: with the operating system
  // on return.
  Status Append(int64_t step, const StepBatch& trained);

  // All that was appended is on the disk on return, on every worker, and *training has the files' lengths: for the
  // commit that follows. An error is the same on every worker.
  Status Commit(TrainingState* training);

 private:
  Ledger(const Worker& worker, FileSystem* file_system, std::string folder, int64_t step);

  Status Write(const std::string& block);

  const Worker worker_;
  FileSystem* const file_system_;
  const std::string folder_;
  const std::string name_;                              // of this process's file
  google::protobuf::RepeatedPtrField<LedgerFile> old_;  // of earlier processes
  std::unique_ptr<WritableFile> file_;                  // null until there is something to enter
  uint64_t bytes_ = 0;                                  // entered
};

}  // namespace weir
