#include <cstdint>
#include <cstdio>
#include <optional>

#include <fmt/format.h>

#include "batch/feature.h"
#include "launch/commands.h"
#include "launch/job_defaults.h"
#include "launch/job_file.h"
#include "launch/table_memory.h"
#include "models/model.h"
#include "proto/memory_size.h"

namespace weir {
namespace {

// Comments of textproto, so that the whole output is a job again.
void PrintMemory(const Job& job) {
  fmt::print("\n# Memory of the tables over all servers: rows (weights, state, last step, count), index and filter.\n");
  fmt::print("# {:<24} {:>5} {:>7} {:>7} {:>11} {:>22} {:>10} {:>16} {:>12}\n", "table", "dim", "state", "a row",
             "its index", "a million rows", "filter", "at most", "rows at most");
  for (const PredictedMemory& table : PredictTableMemory(job)) {
    const auto million = [&](double index_bytes) {
      return FormatMemory(static_cast<int64_t>(1e6 * (static_cast<double>(table.row_bytes) + index_bytes)));
    };
    const std::optional<int64_t> most = table.bytes_max();
    std::string rows = table.keys_max ? fmt::format("{}", *table.keys_max) : "no bound";
    if (table.budget_rows && static_cast<uint64_t>(*table.budget_rows) < table.keys_max.value_or(UINT64_MAX)) {
      rows = fmt::format("{}", *table.budget_rows);
    }
    fmt::print("# {:<24} {:>5} {:>7} {:>5} B {:>9} B {:>22} {:>10} {:>16} {:>12}\n", table.table, table.dim,
               table.state_width, table.row_bytes,
               fmt::format("{:.0f}-{:.0f}", table.index_bytes_min, table.index_bytes_max),
               million(table.index_bytes_min) + " - " + million(table.index_bytes_max),
               table.filter_bytes > 0 ? FormatMemory(table.filter_bytes) : "-",
               most ? FormatMemory(*most) : "grows with keys", rows);
  }
}

}  // namespace

int RunValidate(const CommandLine& line) {
  const Result<Job> job = ReadJobFile(&LocalFileSystem(), line.arguments[0], line.overrides, nullptr);
  if (!job.ok()) return ReportError(line, job.status());
  const Status memory = CheckTableMemory(*job);
  if (!memory.ok()) return ReportError(line, memory);
  const Result<FeatureSet> features = FeatureSet::FromJob(*job);
  if (!features.ok()) return ReportError(line, features.status());
  const Result<std::shared_ptr<Model>> model = MakeModel(*job, *features);
  if (!model.ok()) return ReportError(line, model.status());
  fmt::print("{}", JobToText(WithDefaults(*job)));
  PrintMemory(*job);
  return 0;
}

}  // namespace weir
