// Commits and resumes: the training loop's side of checkpoints.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "base/file_system.h"
#include "base/status.h"
#include "proto/checkpoint.pb.h"
#include "trainer/worker.h"

namespace weir {

// What a run goes on from: nothing yet, or a commit.
struct ResumePoint {
  int64_t step = 0;  // the last trained one
  std::string path;  // of the checkpoint; empty for a fresh run
  LoaderPosition position;
  TrainingState training;
};

// The newest whole commit under `root`, loaded into the worker's store, parameters and optimizer; a fresh one if there
// is none. All workers call; one of them removes what a dead run left behind and checks that all see the same folder.
// FailedPrecondition when the job no longer fits the commit (names the field).
Result<ResumePoint> Resume(const Worker& worker, FileSystem* file_system, const std::string& root);

// Loads the checkpoint at `path` for evaluation: rows and parameters. All workers call.
Status LoadForEvaluation(const Worker& worker, FileSystem* file_system, const std::string& path);

// Commits the state after `step`, which every worker has pushed, as root/step-N; removes old commits. All workers call;
// they return together, with the path or the error of whichever failed.
Result<std::string> Commit(const Worker& worker, FileSystem* file_system, const std::string& root, int64_t step,
                           const LoaderPosition& position, const TrainingState& training);

}  // namespace weir
