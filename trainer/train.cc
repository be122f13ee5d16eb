#include "trainer/train.h"

#include <cmath>
#include <limits>
#include <memory>

#include <fmt/format.h>

#include "data_loader/loader.h"
#include "trainer/bad_row_log.h"
#include "trainer/commit.h"
#include "trainer/evaluate.h"
#include "trainer/ledger.h"
#include "trainer/rate_meter.h"
#include "trainer/reporter.h"
#include "trainer/step.h"

namespace weir {
namespace {

// One run on one worker. What happens after a step is decided from what all workers know, so that all do the same.
class Run {
 public:
  Run(const Worker& worker, const TrainOptions& options)
      : worker_(worker),
        options_(options),
        job_(*worker.job),
        root_(CheckpointRoot(job_)),
        has_eval_(job_.data().has_eval() && job_.data().eval().uri_size() > 0) {}

  Result<TrainReport> Execute();

 private:
  bool IsComplete() const;
  Status TrainSteps();
  Status ReportStep(const StepResult& result);
  void AdvancePosition(const StepBatch& trained);
  Status AfterStep(const StepResult& result, bool data_ended);
  Status EvaluateNow();
  Status CommitNow();
  Result<TrainReport> Report(bool was_complete);

  bool AtMaxSteps(int64_t step) const { return job_.train().max_steps() > 0 && step >= job_.train().max_steps(); }
  bool Improves(const Evaluation& evaluation) const;

  const Worker worker_;
  const TrainOptions& options_;
  const Job& job_;
  const std::string root_;
  const bool has_eval_;
  std::optional<RateMeter> rate_;       // since this process's first step
  std::unique_ptr<Reporter> reporter_;  // rank 0 only
  std::unique_ptr<Loader> loader_;
  std::unique_ptr<BadRowLog> bad_rows_;
  std::unique_ptr<Ledger> ledger_;  // null where the job asks for none

  int64_t step_ = 0;  // the last one trained
  LoaderPosition position_;
  TrainingState training_;
  std::string last_commit_;
  int64_t last_commit_step_ = -1;
};

bool Run::IsComplete() const {
  if (step_ == 0) return false;
  if (position_.epoch() >= job_.train().epochs() || AtMaxSteps(step_)) return true;
  return job_.train().patience() > 0 && training_.evaluations_without_gain() >= job_.train().patience();
}

Result<TrainReport> Run::Execute() {
  WEIR_ASSIGN_OR_RETURN(ResumePoint resumed, Resume(worker_, options_.file_system, root_));
  step_ = resumed.step;
  position_ = resumed.position;
  training_ = resumed.training;
  last_commit_ = resumed.path;
  last_commit_step_ = resumed.path.empty() ? -1 : resumed.step;
  WEIR_ASSIGN_OR_RETURN(ledger_, Ledger::Open(worker_, options_.file_system, step_, training_));
  WEIR_ASSIGN_OR_RETURN(bad_rows_, BadRowLog::Open(worker_, options_.file_system, step_, training_));
  if (IsComplete()) {
    if (worker_.collective->rank() == 0) {
      LOG(WARNING) << "the run in " << job_.output() << " is complete at step " << step_
                   << ": nothing to train (give another output, or more train.epochs or train.max_steps)";
    }
    return Report(/*was_complete=*/true);
  }
  if (worker_.collective->rank() == 0) {
    WEIR_ASSIGN_OR_RETURN(reporter_, Reporter::Open(job_, options_.file_system, options_.clock, step_));
    if (step_ > 0) LOG(WARNING) << "resuming from " << last_commit_;
  }
  WEIR_RETURN_IF_ERROR(options_.on_accepted());
  WEIR_RETURN_IF_ERROR(TrainSteps());
  return Report(/*was_complete=*/false);
}

Status Run::TrainSteps() {
  LoaderOptions options = TrainingLoaderOptions(job_, worker_.collective->rank(), worker_.collective->size());
  options.stops_at_bad_rows = false;  // bad_rows_ judges over all workers
  WEIR_ASSIGN_OR_RETURN(loader_, Loader::Open(job_, job_.data().train(), options, position_));
  if (reporter_) reporter_->SetTotals(loader_->epoch_rows(), training_.samples_trained());
  training_.set_complete(false);
  training_.set_stopped_early(false);

  const int64_t max_steps = job_.train().max_steps();
  TrainingStep step(worker_, loader_.get(), max_steps > 0 ? max_steps : std::numeric_limits<int64_t>::max());
  WEIR_RETURN_IF_ERROR(step.Begin(step_ + 1));
  rate_.emplace(*options_.clock);
  while (step.has_next() && !training_.complete()) {
    ++step_;
    WEIR_ASSIGN_OR_RETURN(StepResult result, step.Run(options_.stop_asked()));
    WEIR_RETURN_IF_ERROR(bad_rows_->Step(step_, step.trained(), result));
    if (ledger_) WEIR_RETURN_IF_ERROR(ledger_->Append(step_, step.trained()));
    AdvancePosition(step.trained());
    training_.set_samples_trained(training_.samples_trained() + step.trained().step_rows);
    rate_->StepDone(step.trained().step_rows);
    options_.on_progress("step", step_);
    if (reporter_) WEIR_RETURN_IF_ERROR(ReportStep(result));
    WEIR_RETURN_IF_ERROR(AfterStep(result, !step.has_next()));
    if (result.stop_asked) break;
  }
  WEIR_RETURN_IF_ERROR(worker_.store->Drain(step_));
  rate_->Pause();
  if (last_commit_step_ != step_) {
    training_.set_complete(IsComplete());
    WEIR_RETURN_IF_ERROR(CommitNow());
  }
  return Status();
}

Status Run::ReportStep(const StepResult& result) {
  StoreStats stats;
  const bool due = reporter_->PointIsDue();
  if (due) {
    WEIR_ASSIGN_OR_RETURN(stats, worker_.store->Stats());
  }
  return reporter_->Step(step_, position_, training_.samples_trained(), result, due ? &stats : nullptr,
                         bad_rows_->counts());
}

void Run::AdvancePosition(const StepBatch& trained) {
  position_ = loader_->PositionAfter(trained);
  if (trained.ends_epoch) {
    position_.set_epoch(trained.epoch + 1);
    position_.set_samples(0);
  }
}

Status Run::AfterStep(const StepResult& result, bool data_ended) {
  const int64_t every = job_.train().eval_every_steps();
  const bool ends_epoch = position_.samples() == 0 && position_.epoch() > 0;
  const bool at_end = data_ended || AtMaxSteps(step_);
  training_.clear_at_this_step();
  bool improved = false;
  if (has_eval_ && (ends_epoch || at_end || (every > 0 && step_ % every == 0))) {
    WEIR_RETURN_IF_ERROR(worker_.store->Drain(step_));
    rate_->Pause();
    WEIR_RETURN_IF_ERROR(EvaluateNow());
    rate_->Resume();
    improved = training_.evaluations_without_gain() == 0;
  }
  training_.set_complete(IsComplete());
  training_.set_stopped_early(training_.complete() && !at_end);
  const int64_t commit_every = job_.checkpoint().every_steps();
  if (improved || training_.complete() || result.stop_asked || (commit_every > 0 && step_ % commit_every == 0)) {
    WEIR_RETURN_IF_ERROR(worker_.store->Drain(step_));
    rate_->Pause();
    WEIR_RETURN_IF_ERROR(CommitNow());
    rate_->Resume();
  }
  return Status();
}

bool Run::Improves(const Evaluation& evaluation) const {
  if (!training_.has_best()) return true;
  const Evaluation& best = training_.best();
  if (job_.metrics().best() == MetricsConfig::LOGLOSS) return evaluation.logloss() < best.logloss();
  if (!evaluation.has_auc()) return false;
  return !best.has_auc() || evaluation.auc() > best.auc();
}

Status Run::EvaluateNow() {
  WEIR_ASSIGN_OR_RETURN(Evaluation evaluation, Evaluate(worker_, step_, [this](int64_t rows) {
                          options_.on_progress("evaluation row", rows);
                        }));
  if (Improves(evaluation)) {
    *training_.mutable_best() = evaluation;
    training_.set_evaluations_without_gain(0);
  } else {
    training_.set_evaluations_without_gain(training_.evaluations_without_gain() + 1);
  }
  *training_.mutable_at_this_step() = evaluation;
  if (reporter_) WEIR_RETURN_IF_ERROR(reporter_->Evaluated(evaluation));
  return Status();
}

Status Run::CommitNow() {
  WEIR_RETURN_IF_ERROR(bad_rows_->Commit(step_, &training_));
  if (ledger_) WEIR_RETURN_IF_ERROR(ledger_->Commit(&training_));
  WEIR_ASSIGN_OR_RETURN(last_commit_, Commit(worker_, options_.file_system, root_, step_, position_, training_));
  last_commit_step_ = step_;
  options_.on_progress("commit of step", step_);
  if (reporter_) reporter_->Committed(last_commit_, step_);
  return Status();
}

Result<TrainReport> Run::Report(bool was_complete) {
  WEIR_ASSIGN_OR_RETURN(StoreStats stats, worker_.store->Stats());
  TrainReport report;
  report.samples = training_.samples_trained();
  report.steps = step_;
  report.samples_per_s = rate_ ? rate_->SamplesPerS().value_or(0) : 0;
  report.rows = stats.rows;
  report.bad_rows = bad_rows_->counts().rows();
  report.checkpoint = last_commit_;
  report.complete = training_.complete();
  report.was_complete = was_complete;
  if (has_eval_ && training_.has_best()) {
    report.logloss = training_.best().logloss();
    if (training_.best().has_auc()) report.auc = training_.best().auc();
    report.checkpoint = JoinPath(root_, fmt::format("step-{}", training_.best().step()));
  }
  if (reporter_) {
    WEIR_RETURN_IF_ERROR(reporter_->Close(report.samples_per_s, stats, bad_rows_->counts()));
  }
  return report;
}

}  // namespace

std::string CheckpointRoot(const Job& job) { return JoinPath(job.output(), "checkpoints"); }

Result<TrainReport> Train(const Worker& worker, const TrainOptions& options) { return Run(worker, options).Execute(); }

}  // namespace weir
