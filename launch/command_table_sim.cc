#include <cstdio>
#include <string>
#include <vector>

#include <fmt/format.h>

#include "base/clock.h"
#include "base/file_system.h"
#include "base/write_file.h"
#include "launch/commands.h"
#include "launch/job_file.h"
#include "launch/table_sim/policies.h"
#include "launch/table_sim/sim_views.h"
#include "launch/table_sim/simulation.h"

namespace weir {
namespace {

constexpr uint64_t kPolicyBytesMax = 16 << 20;

// Lines on stderr, every few seconds.
class Progress {
 public:
  explicit Progress(double every_s) : every_ns_(static_cast<int64_t>(every_s * kNanosPerSecond)) {}

  void Step(int64_t steps, int64_t rows, int64_t rows_in_all) {
    const int64_t now_ns = SystemClock().SteadyNanos();
    if (now_ns - shown_ns_ < every_ns_) return;
    const double rows_per_s = static_cast<double>(rows - shown_rows_) * kNanosPerSecond / (now_ns - shown_ns_);
    shown_ns_ = now_ns;
    shown_rows_ = rows;
    fmt::print(stderr, "step {}  {} of {} rows ({:.0f} %)  {:.0f} rows/s\n", steps, rows, rows_in_all,
               100.0 * static_cast<double>(rows) / static_cast<double>(rows_in_all), rows_per_s);
  }

 private:
  const int64_t every_ns_;
  int64_t shown_ns_ = SystemClock().SteadyNanos();
  int64_t shown_rows_ = 0;
};

Status Simulate(const CommandLine& line) {
  FileSystem& files = LocalFileSystem();
  WEIR_ASSIGN_OR_RETURN(const Job job, ReadJobFile(&files, line.arguments[0], line.overrides, nullptr));
  std::string policy_file;
  if (line.HasFlag("policies")) {
    Result<std::string> text = files.ReadAll(line.Flag("policies"), kPolicyBytesMax);
    if (!text.ok()) return text.status().Wrap("reading the policies");
    policy_file = *std::move(text);
  }
  WEIR_ASSIGN_OR_RETURN(const std::vector<SimPolicy> policies,
                        ReadSimPolicies(job, line.Flags("policy"), line.Flag("policies"), policy_file));
  SimOptions options;
  WEIR_ASSIGN_OR_RETURN(options.rows_max, line.Number("rows", 0, 1, int64_t{1} << 60));
  WEIR_ASSIGN_OR_RETURN(const int64_t workers, line.Number("workers", 1, 1, 1024));
  options.workers = static_cast<int>(workers);
  Progress progress(job.metrics().every_s());
  options.on_step = [&](int64_t steps, int64_t rows, int64_t in_all) { progress.Step(steps, rows, in_all); };
  WEIR_ASSIGN_OR_RETURN(const SimResult result, SimulateTables(job, policies, options));
  if (line.HasFlag("html")) {
    WEIR_RETURN_IF_ERROR(WriteFile(&files, line.Flag("html"), SimPage("Tables of " + job.name(), result).Finish()));
  }
  fmt::print("{}", line.HasFlag("json") ? SimJson(result) : SimText(result));
  return Status();
}

}  // namespace

int RunTableSim(const CommandLine& line) {
  const Status status = Simulate(line);
  return status.ok() ? 0 : ReportError(line, status);
}

}  // namespace weir
