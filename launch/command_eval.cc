#include <algorithm>
#include <iostream>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/file_system.h"
#include "checkpoint/checkpoint.h"
#include "launch/commands.h"
#include "launch/committed_job.h"
#include "launch/ranks.h"
#include "trainer/commit.h"
#include "trainer/evaluate.h"
#include "trainer/json_line.h"
#include "trainer/rate_meter.h"

namespace weir {
namespace {

Result<Job> ReadEvaluationJob(const std::string& checkpoint, const std::vector<std::string>& overrides) {
  WEIR_ASSIGN_OR_RETURN(Job job, ReadCommittedJob(&LocalFileSystem(), checkpoint, overrides));
  const bool port_given = std::any_of(overrides.begin(), overrides.end(), [](const std::string& override) {
    return override.starts_with("cluster.base_port=");
  });
  if (!port_given) job.mutable_cluster()->clear_base_port();  // the training run may still be using it
  if (job.data().eval().uri().empty()) {
    return InvalidArgument(
        "expected data.eval.uri to name the files to evaluate on, found nothing: add data.eval.uri=PATH");
  }
  return job;
}

Status EvaluateOnRanks(Ranks& ranks, const CommandLine& line) {
  // Rank 0 decides which checkpoint, since the best one may change while a run is under way.
  WEIR_ASSIGN_OR_RETURN(const std::string checkpoint, ranks.ShareText([&] {
    return ResolveCheckpoint(&LocalFileSystem(), line.arguments[0]);
  }));
  WEIR_ASSIGN_OR_RETURN(Job job, ranks.ShareJob([&] { return ReadEvaluationJob(checkpoint, line.overrides); }));
  if (ranks.size() == 1) job.mutable_cluster()->set_servers(0);  // of the training run; here one process is enough
  WEIR_ASSIGN_OR_RETURN(Manifest manifest, ReadManifest(&LocalFileSystem(), checkpoint));

  Evaluation evaluation;
  StoreStats stats;
  std::optional<RateMeter> rate;
  WEIR_RETURN_IF_ERROR(ranks.Run(job, [&](const Worker& worker, const auto& mark) -> Status {
    WEIR_RETURN_IF_ERROR(LoadForEvaluation(worker, &LocalFileSystem(), checkpoint));
    rate.emplace();
    int64_t counted = 0;
    WEIR_ASSIGN_OR_RETURN(evaluation, Evaluate(worker, manifest.step(), [&](int64_t rows) {
                            rate->StepDone(rows - counted);
                            counted = rows;
                            mark("evaluation row", rows);
                          }));
    rate->Pause();
    WEIR_ASSIGN_OR_RETURN(stats, worker.store->Stats());
    return Status();
  }));
  WEIR_ASSIGN_OR_RETURN(int64_t peak_rss_bytes, ranks.TotalPeakRssBytes());
  if (ranks.rank() != 0) return Status();
  std::optional<double> auc, calibration;
  if (evaluation.has_auc()) auc = evaluation.auc();
  if (evaluation.has_calibration()) calibration = evaluation.calibration();
  const std::vector<JsonField> fields = {{"samples", static_cast<int64_t>(evaluation.samples())},
                                         {"samples_per_s", JsonOptional(rate->SamplesPerS())},
                                         {"peak_rss_bytes", peak_rss_bytes},
                                         {"steps", static_cast<int64_t>(manifest.step())},
                                         {"logloss", evaluation.logloss()},
                                         {"auc", JsonOptional(auc)},
                                         {"calibration", JsonOptional(calibration)},
                                         {"rows", stats.rows},
                                         {"bad_rows", static_cast<int64_t>(evaluation.bad_rows())},
                                         {"checkpoint", checkpoint}};
  std::cout << JsonLine(fields) << std::endl;
  return Status();
}

}  // namespace

int RunEval(const CommandLine& line) {
  Result<std::unique_ptr<Ranks>> ranks = Ranks::Start("eval");
  if (!ranks.ok()) return ReportError(line, ranks.status());
  return (*ranks)->Finish(EvaluateOnRanks(**ranks, line));
}

}  // namespace weir
