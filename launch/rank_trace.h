// RankTrace: the traces of all ranks of a job, gathered into one file on one clock.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "base/file_system.h"
#include "base/status.h"
#include "base/trace.h"
#include "trainer/mpi_world.h"

namespace weir {

// One per rank; every method but trace() is called on all ranks together.
class RankTrace {
 public:
  // Compares clocks: ranks of rank 0's host share its clock, those of others are set to it at the end of a barrier, to
  // within about a millisecond. world: null without MPI.
  static Result<std::unique_ptr<RankTrace>> Start(MpiWorld* world);

  Trace* trace() { return &trace_; }

  // Rank 0 writes the file, a JSON array of events of all ranks; `who` names this one. Each rank holds the events of all
  // for a moment. Not being able to write the file is only logged.
  Status Write(FileSystem* file_system, const std::string& path, const std::string& who);

 private:
  explicit RankTrace(MpiWorld* world) : world_(world) {}

  MpiWorld* const world_;
  Trace trace_;
  int64_t offset_ns_ = 0;  // to rank 0's clock
};

}  // namespace weir
