#include <algorithm>
#include <iostream>
#include <memory>

#include <fmt/format.h>

#include "base/file_lock.h"
#include "base/file_system.h"
#include "base/write_file.h"
#include "launch/commands.h"
#include "launch/job_file.h"
#include "launch/rank_log.h"
#include "launch/ranks.h"
#include "launch/stop_signal.h"
#include "proto/job_text.h"
#include "trainer/json_line.h"
#include "trainer/train.h"

namespace weir {
namespace {

Result<Job> ReadTrainingJob(const std::string& path, const std::vector<std::string>& overrides) {
  WEIR_ASSIGN_OR_RETURN(Job job, ReadJobFile(&LocalFileSystem(), path, overrides, /*errors=*/nullptr));
  if (job.data().train().uri().empty()) {
    return InvalidArgument(
        "expected data.train.uri to name the files to train on, found nothing: add it to the job or to the command, "
        "data.train.uri=PATH");
  }
  return job;
}

// The job as resolved, for whoever comes back to the output later.
Status WriteResolvedJob(const Job& job) {
  FileSystem& files = LocalFileSystem();
  WEIR_RETURN_IF_ERROR(files.CreateFolders(job.output()));
  return WriteFile(&files, JoinPath(job.output(), "job.textproto"), JobToText(job));
}

std::string ReportLine(const TrainReport& report, int64_t peak_rss_bytes) {
  const std::vector<JsonField> fields = {{"samples", report.samples},
                                         {"samples_per_s", report.samples_per_s},
                                         {"peak_rss_bytes", peak_rss_bytes},
                                         {"steps", report.steps},
                                         {"logloss", JsonOptional(report.logloss)},
                                         {"auc", JsonOptional(report.auc)},
                                         {"rows", report.rows},
                                         {"bad_rows", report.bad_rows},
                                         {"checkpoint", report.checkpoint}};
  return JsonLine(fields);
}

Status TrainOnRanks(Ranks& ranks, const CommandLine& line) {
  WEIR_ASSIGN_OR_RETURN(Job job, ranks.ShareJob([&] { return ReadTrainingJob(line.arguments[0], line.overrides); }));
  // Each worker owns streams, so there are at least as many; the commit records them, since the order hangs on them.
  const int workers = ranks.size() == 1 ? 1 : ranks.size() - job.cluster().servers();
  job.mutable_data()->set_streams(std::max(job.data().streams(), workers));
  WEIR_ASSIGN_OR_RETURN(auto log, RankLog::Open(JoinPath(job.output(), "logs"), ranks.rank()));
  std::unique_ptr<FileLock> lock;
  if (ranks.rank() == 0) {
    WEIR_ASSIGN_OR_RETURN(lock, FileLock::Acquire(JoinPath(job.output(), ".lock")));
  }

  TrainReport report;
  WEIR_RETURN_IF_ERROR(ranks.Run(job, [&](const Worker& worker, const auto& mark) -> Status {
    TrainOptions options;
    options.stop_asked = StopAsked;
    options.on_progress = mark;
    if (ranks.rank() == 0) options.on_accepted = [&job] { return WriteResolvedJob(job); };
    WEIR_ASSIGN_OR_RETURN(report, Train(worker, options));
    return Status();
  }));
  WEIR_ASSIGN_OR_RETURN(int64_t peak_rss_bytes, ranks.TotalPeakRssBytes());
  if (ranks.rank() == 0) std::cout << ReportLine(report, peak_rss_bytes) << std::endl;
  return ranks.WriteTrace(JoinPath(job.output(), "trace.json"));
}

}  // namespace

int RunTrain(const CommandLine& line) {
  InstallStopSignals(/*alone=*/!MpiWorld::LaunchedByMpi());
  Result<std::unique_ptr<Ranks>> ranks = Ranks::Start("train");
  if (!ranks.ok()) return ReportError(line, ranks.status());
  return (*ranks)->Finish(TrainOnRanks(**ranks, line));
}

}  // namespace weir
