#include <cstdio>
#include <string>
#include <vector>

#include <fmt/format.h>

#include "base/write_file.h"
#include "launch/commands.h"
#include "launch/data_words.h"
#include "launch/job_file.h"
#include "launch/lake_stats/stats_views.h"
#include "launch/stop_signal.h"

namespace weir {
namespace {

struct Subject {
  DataConfig data;
  SourceConfig source;
};

// How Criteo's logs are written (data_loader/formats/criteo_line.h).
void DescribeCriteo(CsvConfig* csv) {
  csv->set_delimiter("\t");
  csv->set_header(false);
  csv->set_trim(false);
  for (const char* names : {"label", "I[1-13]", "C[1-26]"}) csv->add_column_names(names);
}

// The source that a job trains on or, with --eval, evaluates on.
Result<Subject> SubjectOfJob(const CommandLine& line) {
  const std::vector<std::string> overrides(line.arguments.begin() + 1, line.arguments.end());
  WEIR_ASSIGN_OR_RETURN(Job job, ReadJobFile(&LocalFileSystem(), line.arguments[0], overrides, nullptr));
  const bool eval = line.HasFlag("eval");
  return Subject{job.data(), eval ? job.data().eval() : job.data().train()};
}

Result<Subject> SubjectOfUris(const CommandLine& line) {
  Job job;
  if (line.HasFlag("criteo")) {
    job.mutable_data()->set_format(DataConfig::CSV);
    DescribeCriteo(job.mutable_data()->mutable_csv());
  }
  WEIR_ASSIGN_OR_RETURN(const std::vector<std::string> uris, TakeDataWords(line.arguments, &job));
  SourceConfig source;
  for (const std::string& uri : uris) source.add_uri(uri);
  return Subject{job.data(), source};
}

Status ShowStatistics(const CommandLine& line) {
  WEIR_ASSIGN_OR_RETURN(const int64_t rows_max, line.Number("rows", 0, 1, INT64_MAX));
  InstallStopSignals(/*alone=*/true);
  const bool is_job = line.arguments[0].ends_with(".textproto");
  if (is_job && line.HasFlag("criteo")) {
    return InvalidArgument("--criteo: a job says itself how its files are written, in data.csv");
  }
  WEIR_ASSIGN_OR_RETURN(const Subject subject, is_job ? SubjectOfJob(line) : SubjectOfUris(line));
  WEIR_ASSIGN_OR_RETURN(const LakeSummary lake, ReadLakeStatistics(subject.data, subject.source, rows_max));
  FileSystem& files = LocalFileSystem();
  if (line.HasFlag("json")) WEIR_RETURN_IF_ERROR(WriteFile(&files, line.Flag("json"), StatsJson(lake)));
  if (line.HasFlag("html")) WEIR_RETURN_IF_ERROR(WriteFile(&files, line.Flag("html"), StatsPage(lake).Finish()));
  fmt::print("{}", StatsText(lake));
  return Status();
}

}  // namespace

int RunStats(const CommandLine& line) {
  const Status status = ShowStatistics(line);
  return status.ok() ? 0 : ReportError(line, status);
}

}  // namespace weir
