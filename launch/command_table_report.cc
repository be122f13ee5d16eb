#include <cstdio>
#include <string>
#include <vector>

#include <fmt/format.h>

#include "base/clock.h"
#include "base/write_file.h"
#include "checkpoint/checkpoint.h"
#include "launch/commands.h"
#include "launch/table_report/report_views.h"
#include "launch/table_report/table_statistics.h"

namespace weir {
namespace {

constexpr int64_t kProgressEveryNs = 10 * kNanosPerSecond;

Status Report(const CommandLine& line) {
  FileSystem& files = LocalFileSystem();
  WEIR_ASSIGN_OR_RETURN(const std::string checkpoint, ResolveCheckpoint(&files, line.arguments[0]));
  WEIR_ASSIGN_OR_RETURN(const Manifest manifest, ReadManifest(&files, checkpoint));
  int64_t shown_ns = SystemClock().SteadyNanos();
  const std::string only = line.Flag("table");
  WEIR_ASSIGN_OR_RETURN(std::vector<TableStatistics> tables,
                        ReadTableStatistics(&files, checkpoint, manifest, only, [&](int64_t rows) {
                          const int64_t now_ns = SystemClock().SteadyNanos();
                          if (now_ns - shown_ns < kProgressEveryNs) return;
                          shown_ns = now_ns;
                          fmt::print(stderr, "{} rows of a table read\n", rows);
                        }));
  const ReportSubject subject = {checkpoint, manifest.step(), manifest.hash_rule().virtual_shards()};
  if (line.HasFlag("html"))
    WEIR_RETURN_IF_ERROR(WriteFile(&files, line.Flag("html"), ReportPage(subject, tables).Finish()));
  fmt::print("{}", line.HasFlag("json") ? ReportJson(subject, tables) : ReportText(subject, tables, !only.empty()));
  return Status();
}

}  // namespace

int RunTableReport(const CommandLine& line) {
  const Status status = Report(line);
  return status.ok() ? 0 : ReportError(line, status);
}

}  // namespace weir
