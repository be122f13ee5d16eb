#include <algorithm>
#include <iostream>
#include <string>
#include <string_view>
#include <vector>

#include <fmt/format.h>

#include "base/clock.h"
#include "base/file_system.h"
#include "checkpoint/checkpoint.h"
#include "launch/commands.h"
#include "launch/committed_job.h"
#include "serving/predict.h"
#include "trainer/json_line.h"
#include "trainer/mpi_world.h"

namespace weir {
namespace {

constexpr int64_t kProgressEveryNs = 10 * kNanosPerSecond;

// "a,b" -> {"a", "b"}.
std::vector<std::string> SplitColumns(std::string_view text) {
  std::vector<std::string> columns;
  while (!text.empty()) {
    const size_t comma = std::min(text.find(','), text.size());
    if (comma > 0) columns.emplace_back(text.substr(0, comma));
    text.remove_prefix(std::min(comma + 1, text.size()));
  }
  return columns;
}

Status PredictToFile(const CommandLine& line) {
  if (MpiWorld::LaunchedByMpi()) return InvalidArgument("expected one process: start it without mpirun");
  FileSystem& files = LocalFileSystem();
  PredictOptions options;
  WEIR_ASSIGN_OR_RETURN(options.checkpoint, ResolveCheckpoint(&files, line.arguments[0]));
  WEIR_ASSIGN_OR_RETURN(Job job, ReadCommittedJob(&files, options.checkpoint, line.overrides));
  options.out = line.Flag("out");
  options.columns = SplitColumns(line.Flag("columns"));
  int64_t shown_ns = SystemClock().SteadyNanos();
  options.on_progress = [&](int64_t rows) {
    const int64_t now_ns = SystemClock().SteadyNanos();
    if (now_ns - shown_ns < kProgressEveryNs) return;
    shown_ns = now_ns;
    std::cerr << fmt::format("{} rows scored\n", rows);
  };
  WEIR_ASSIGN_OR_RETURN(PredictReport report, Predict(&files, job, options));
  const std::vector<JsonField> fields = {{"samples", report.rows},
                                         {"bad_rows", report.bad_rows},
                                         {"checkpoint", options.checkpoint},
                                         {"out", options.out}};
  std::cout << JsonLine(fields) << std::endl;
  return Status();
}

}  // namespace

int RunPredict(const CommandLine& line) {
  const Status status = PredictToFile(line);
  return status.ok() ? 0 : ReportError(line, status);
}

}  // namespace weir
