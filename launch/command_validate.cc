#include <cstdint>
#include <cstdio>
#include <optional>
#include <string>

#include <fmt/format.h>

#include "batch/feature.h"
#include "launch/cluster_plan/cluster_plan.h"
#include "launch/cluster_plan/plan_views.h"
#include "launch/commands.h"
#include "launch/job_defaults.h"
#include "launch/job_file.h"
#include "launch/report/json_writer.h"
#include "launch/table_memory.h"
#include "models/model.h"
#include "proto/memory_size.h"

namespace weir {
namespace {

std::string RowsMaxText(const PredictedMemory& table) {
  const uint64_t keys_max = table.keys_max.value_or(UINT64_MAX);
  if (table.budget_rows && static_cast<uint64_t>(*table.budget_rows) < keys_max) {
    return fmt::format("{}", *table.budget_rows);
  }
  return table.keys_max ? fmt::format("{}", keys_max) : "no bound";
}

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
    fmt::print("# {:<24} {:>5} {:>7} {:>5} B {:>9} B {:>22} {:>10} {:>16} {:>12}\n", table.table, table.dim,
               table.state_width, table.row_bytes,
               fmt::format("{:.0f}-{:.0f}", table.index_bytes_min, table.index_bytes_max),
               million(table.index_bytes_min) + " - " + million(table.index_bytes_max),
               table.filter_bytes > 0 ? FormatMemory(table.filter_bytes) : "-",
               most ? FormatMemory(*most) : "grows with keys", RowsMaxText(table));
  }
}

void WriteMemory(const Job& job, JsonWriter* json) {
  json->Name("memory");
  json->BeginArray();
  for (const PredictedMemory& table : PredictTableMemory(job)) {
    json->BeginObject();
    json->Text("table", table.table);
    json->Integer("dim", table.dim);
    json->Integer("state_width", table.state_width);
    json->Integer("row_bytes", table.row_bytes);
    json->Number("index_bytes_min", table.index_bytes_min);
    json->Number("index_bytes_max", table.index_bytes_max);
    json->Integer("filter_bytes", table.filter_bytes);
    json->Name("bytes_max");
    const std::optional<int64_t> most = table.bytes_max();
    most ? json->Integer(*most) : json->Null();
    json->EndObject();
  }
  json->EndArray();
}

// Each line behind a "#".
std::string AsComment(const std::string& text) {
  std::string comment;
  for (size_t begin = 0; begin < text.size();) {
    const size_t end = std::min(text.find('\n', begin), text.size());
    comment += end == begin ? "#\n" : "# " + text.substr(begin, end - begin) + "\n";
    begin = end + 1;
  }
  return comment;
}

// The plan, or why there is none.
struct Outlook {
  std::optional<ClusterPlan> plan;
  std::string no_plan;
  Status error;  // of a job that could not train
};

// Whether the data may well be there for those who will train.
bool IsOutOfReach(const Status& status) {
  switch (status.code()) {
    case StatusCode::kNotFound:
    case StatusCode::kPermissionDenied:
    case StatusCode::kUnavailable:
    case StatusCode::kUnimplemented:
    case StatusCode::kDeadlineExceeded:
      return true;
    default:
      return false;
  }
}

Outlook LookAtData(const Job& job, const PlanOptions& options, bool was_asked) {
  Outlook outlook;
  if (options.rows_max == 0) {
    outlook.no_plan = "No plan: --rows is 0";
    return outlook;
  }
  Result<ClusterPlan> plan = job.data().train().uri().empty()
                                 ? Result<ClusterPlan>(NotFound("data.train.uri names nothing"))
                                 : PlanCluster(job, options);
  if (plan.ok()) {
    outlook.plan = *std::move(plan);
    return outlook;
  }
  outlook.no_plan = fmt::format("No plan, for the training data could not be read here: {}", plan.status().ToString());
  if (was_asked || !IsOutOfReach(plan.status())) outlook.error = plan.status();
  return outlook;
}

std::string AsJson(const Job& job, const Outlook& outlook) {
  JsonWriter json;
  json.BeginObject();
  json.Text("job", job.name());
  WriteMemory(job, &json);
  json.Name("plan");
  outlook.plan ? WritePlan(*outlook.plan, &json) : json.Null();
  if (!outlook.plan) json.Text("no_plan", outlook.no_plan);
  json.EndObject();
  return json.text() + "\n";
}

Result<Job> ReadValidJob(const CommandLine& line) {
  WEIR_ASSIGN_OR_RETURN(Job job, ReadJobFile(&LocalFileSystem(), line.arguments[0], line.overrides, nullptr));
  WEIR_RETURN_IF_ERROR(CheckTableMemory(job));
  WEIR_ASSIGN_OR_RETURN(const FeatureSet features, FeatureSet::FromJob(job));
  WEIR_RETURN_IF_ERROR(MakeModel(job, features).status());
  return job;
}

Result<PlanOptions> ReadPlanOptions(const CommandLine& line) {
  PlanOptions options;
  WEIR_ASSIGN_OR_RETURN(const int64_t workers, line.Number("workers", 1, 1, 1024));
  options.workers = static_cast<int>(workers);
  WEIR_ASSIGN_OR_RETURN(options.rows_max, line.Number("rows", options.rows_max, 0, int64_t{1} << 60));
  if (line.HasFlag("rows")) options.steps_max = options.time_ns_max = 0;
  return options;
}

Status Validate(const CommandLine& line) {
  WEIR_ASSIGN_OR_RETURN(const PlanOptions options, ReadPlanOptions(line));
  WEIR_ASSIGN_OR_RETURN(const Job job, ReadValidJob(line));
  const bool as_json = line.HasFlag("json");
  // The job stands on the screen while its data is read.
  if (!as_json) {
    fmt::print("{}", JobToText(WithDefaults(job)));
    PrintMemory(job);
    std::fflush(stdout);
  }
  const Outlook outlook = LookAtData(job, options, line.HasFlag("rows"));
  if (as_json) {
    fmt::print("{}", AsJson(job, outlook));
  } else {
    fmt::print("\n{}", AsComment(outlook.plan ? "Plan: " + PlanText(*outlook.plan) : outlook.no_plan));
  }
  return outlook.error;
}

}  // namespace

int RunValidate(const CommandLine& line) {
  const Status status = Validate(line);
  return status.ok() ? 0 : ReportError(line, status);
}

}  // namespace weir
