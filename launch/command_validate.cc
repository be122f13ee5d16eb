#include <cstdio>

#include <fmt/format.h>

#include "batch/feature.h"
#include "launch/commands.h"
#include "launch/job_defaults.h"
#include "launch/job_file.h"
#include "launch/table_memory.h"
#include "models/model.h"

namespace weir {
namespace {

std::string Bytes(double bytes) {
  constexpr double kMiB = 1 << 20;
  if (bytes < kMiB) return fmt::format("{:.1f} KiB", bytes / 1024);
  if (bytes < 1024 * kMiB) return fmt::format("{:.1f} MiB", bytes / kMiB);
  return fmt::format("{:.2f} GiB", bytes / (1024 * kMiB));
}

// Comments of textproto, so that the whole output is a job again.
void PrintMemory(const Job& job) {
  fmt::print("\n# Memory of the tables over all servers, without the index:\n");
  fmt::print("# {:<24} {:>5} {:>7} {:>9} {:>14} {:>22}\n", "table", "dim", "state", "a row", "a million rows",
             "at most");
  for (const PredictedMemory& memory : PredictTableMemory(job)) {
    const std::string most = memory.rows_max
                                 ? Bytes(static_cast<double>(*memory.rows_max) * static_cast<double>(memory.row_bytes))
                                 : "grows with the keys";
    fmt::print("# {:<24} {:>5} {:>7} {:>7} B {:>14} {:>22}\n", memory.table, memory.dim, memory.state_width,
               memory.row_bytes, Bytes(1e6 * static_cast<double>(memory.row_bytes)), most);
  }
}

}  // namespace

int RunValidate(const CommandLine& line) {
  const Result<Job> job = ReadJobFile(&LocalFileSystem(), line.arguments[0], line.overrides, nullptr);
  if (!job.ok()) return ReportError(line, job.status());
  const Result<FeatureSet> features = FeatureSet::FromJob(*job);
  if (!features.ok()) return ReportError(line, features.status());
  const Result<std::shared_ptr<Model>> model = MakeModel(*job, *features);
  if (!model.ok()) return ReportError(line, model.status());
  fmt::print("{}", JobToText(WithDefaults(*job)));
  PrintMemory(*job);
  return 0;
}

}  // namespace weir
