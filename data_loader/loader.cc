#include "data_loader/loader.h"

#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <thread>
#include <utility>

#include <fmt/format.h>
#include <glog/logging.h>

#include "base/bounded_queue.h"
#include "data_loader/dataset.h"
#include "data_loader/sampling/sampler.h"
#include "data_loader/step_source.h"

namespace weir {
namespace {

// A nap of the reading thread while the consumer is busy; closing the queue ends it at once.
constexpr int64_t kPushNapNs = 1'000'000'000;

// What the reading thread hands over: a step, or why there is none.
struct ReadStep {
  Status status;
  bool end = false;
  StepBatch step;
};

// Where threads are more than cores, reading ahead takes the gaps that training leaves: a worker that reads while the
// others train keeps all of them waiting.
void YieldToTraining() {
  constexpr int kNice = 10;
  const int tried = setpriority(PRIO_PROCESS, static_cast<id_t>(gettid()), kNice);
  PLOG_IF(WARNING, tried != 0) << "the loader's thread keeps its priority";
}

std::string Describe(const InputFile& file) {
  return fmt::format("{} ({} bytes, {} rows)", file.path(), file.bytes(), file.rows());
}

bool Same(const InputFile& a, const InputFile& b) {
  return a.path() == b.path() && a.bytes() == b.bytes() && a.rows() == b.rows();
}

// OK when the position was taken on these files.
Status CheckPosition(const LoaderPosition& start, const std::vector<InputFile>& files, int64_t epoch_rows) {
  if (start.files_size() == 0 && (start.epoch() != 0 || start.samples() != 0)) {
    return FailedPrecondition(
        fmt::format("the position (epoch {}, sample {}) names no files: it cannot be told whether it "
                    "belongs to these",
                    start.epoch(), start.samples()));
  }
  if (start.files_size() > 0) {
    size_t both = std::min<size_t>(start.files_size(), files.size());
    for (size_t f = 0; f < both; ++f) {
      if (Same(start.files(static_cast<int>(f)), files[f])) continue;
      return FailedPrecondition(
          fmt::format("the data is not what the position was taken on: file {}: expected {}, found {}", f,
                      Describe(start.files(static_cast<int>(f))), Describe(files[f])));
    }
    if (static_cast<size_t>(start.files_size()) != files.size()) {
      bool missing = static_cast<size_t>(start.files_size()) > files.size();
      return FailedPrecondition(fmt::format(
          "the data is not what the position was taken on: expected {} files, found {}: {} is {}", start.files_size(),
          files.size(), Describe(missing ? start.files(static_cast<int>(both)) : files[both]),
          missing ? "missing" : "new"));
    }
  }
  if (start.epoch() < 0 || start.samples() < 0 || start.samples() > epoch_rows) {
    return FailedPrecondition(fmt::format("expected a position within {} samples an epoch, found epoch {}, sample {}",
                                          epoch_rows, start.epoch(), start.samples()));
  }
  return Status();
}

class LoaderImpl : public Loader {
 public:
  LoaderImpl(const Job& job, std::unique_ptr<Dataset> dataset, const LoaderOptions& options,
             const LoaderPosition& start, std::unique_ptr<Sampler> sampler)
      : dataset_(std::move(dataset)),
        options_(options),
        empty_(EmptyBatch(job)),
        files_(dataset_->Fingerprint()),
        queue_(static_cast<size_t>(options.prefetch_batches)),
        source_(MakeStepSource(job, dataset_.get(), options)),
        sampler_(std::move(sampler)),
        thread_([this, epoch = start.epoch(), samples = start.samples()] { ReadAhead(epoch, samples); }) {}

  ~LoaderImpl() override {
    stop_ = true;
    queue_.Close();
    thread_.join();
  }

  Result<bool> Next(StepBatch* batch) override {
    if (!ended_.ok()) return ended_;
    if (done_) return false;
    ReadStep read;
    QueueOutcome outcome = queue_.Pop(&read, options_.wait_ns_max);
    if (outcome == QueueOutcome::kTimedOut) {
      return DeadlineExceeded(fmt::format("worker {}: the loader had no batch within {:.1f} s", options_.worker,
                                          static_cast<double>(options_.wait_ns_max) / 1e9));
    }
    // The thread always ends with an error or the end.
    if (outcome == QueueOutcome::kClosed) return Internal("the loader's thread is gone");
    ended_ = read.status;
    done_ = read.end;
    if (!ended_.ok()) return ended_;
    if (done_) return false;
    *batch = std::move(read.step);
    return true;
  }

  LoaderPosition PositionAfter(const StepBatch& batch) const override {
    LoaderPosition position;
    position.set_epoch(batch.ends_epoch ? batch.epoch + 1 : batch.epoch);
    position.set_samples(batch.ends_epoch ? 0 : batch.epoch_rows_done);
    for (const InputFile& file : files_) *position.add_files() = file;
    return position;
  }

  int64_t epoch_rows() const override { return dataset_->rows(); }

 private:
  // The thread: all steps from the start, then the end or an error.
  void ReadAhead(int64_t epoch, int64_t samples) {
    if (options_.yields) YieldToTraining();
    ReadStep last;
    last.status = ReadEpochs(epoch, samples);
    last.end = last.status.ok();
    Push(&last);
  }

  Status ReadEpochs(int64_t epoch, int64_t samples) {
    for (; epoch < options_.epochs && !stop_; ++epoch, samples = 0) {
      if (samples == dataset_->rows()) continue;
      int64_t bad_of_epoch = 0;
      WEIR_RETURN_IF_ERROR(source_->StartEpoch(epoch, samples));
      while (samples < dataset_->rows() && !stop_) {
        ReadStep read;
        StepBatch& step = read.step;
        step.batch = empty_;
        step.step_rows = std::min(options_.batch_size, dataset_->rows() - samples);
        WEIR_RETURN_IF_ERROR(source_->Fill(step.step_rows, &step.batch, &step.bad_rows));
        if (sampler_) WEIR_RETURN_IF_ERROR(sampler_->Apply(epoch, samples, &step.batch));
        samples += step.step_rows;
        step.epoch = epoch;
        step.epoch_rows_done = samples;
        step.ends_epoch = samples == dataset_->rows();
        if (options_.stops_at_bad_rows) WEIR_RETURN_IF_ERROR(Judge(step.bad_rows, &bad_of_epoch));
        Push(&read);
      }
    }
    return Status();
  }

  // Names the row that is not to be, or that went past the limit.
  Status Judge(const std::vector<FileBadRow>& rows, int64_t* bad_of_epoch) const {
    for (const FileBadRow& row : rows) {
      if (row.fault.policy == DataConfig::STOP) return StoppedByBadRow(row);
      if (++*bad_of_epoch > options_.max_bad_rows) return TooManyBadRows(row, *bad_of_epoch, options_.max_bad_rows);
    }
    return Status();
  }

  void Push(ReadStep* read) {
    while (!stop_ && queue_.Push(*read, kPushNapNs) == QueueOutcome::kTimedOut) {
    }
  }

  const std::unique_ptr<Dataset> dataset_;
  const LoaderOptions options_;
  const Batch empty_;
  const std::vector<InputFile> files_;
  BoundedQueue<ReadStep> queue_;
  // The thread's own.
  std::unique_ptr<StepSource> source_;
  const std::unique_ptr<const Sampler> sampler_;  // null: the samples stay as they are
  // The consumer's own.
  Status ended_;
  bool done_ = false;
  std::atomic<bool> stop_ = false;
  std::thread thread_;  // last: it uses all of the above
};

Status CheckOptions(const LoaderOptions& options) {
  bool valid = options.num_workers >= 1 && options.worker >= 0 && options.worker < options.num_workers &&
               options.batch_size >= 1 && options.epochs >= 1 && options.streams >= 1 && options.shuffle_rows >= 1 &&
               options.prefetch_batches >= 1 && options.decode_rows >= 1;
  if (valid) return Status();
  return InvalidArgument(
      fmt::format("loader options: expected worker {} in [0, num_workers {}) and at least 1 for batch_size {}, epochs "
                  "{}, streams {}, "
                  "shuffle_rows {}, prefetch_batches {}, decode_rows {}",
                  options.worker, options.num_workers, options.batch_size, options.epochs, options.streams,
                  options.shuffle_rows, options.prefetch_batches, options.decode_rows));
}

LoaderOptions OptionsOf(const Job& job, int worker, int num_workers) {
  const DataConfig& data = job.data();
  LoaderOptions options;
  options.worker = worker;
  options.num_workers = num_workers;
  options.batch_size = job.train().batch_size();
  options.epochs = job.train().epochs();
  options.shuffle = data.shuffle();
  options.streams = std::max(data.streams(), num_workers);
  options.shuffle_rows = data.shuffle_rows();
  options.prefetch_batches = data.prefetch_batches();
  options.seed = job.train().seed();
  options.max_bad_rows = data.max_bad_rows();
  options.wait_ns_max = static_cast<int64_t>(job.cluster().progress_s() * 1e9);
  return options;
}

}  // namespace

LoaderOptions TrainingLoaderOptions(const Job& job, int worker, int num_workers) {
  LoaderOptions options = OptionsOf(job, worker, num_workers);
  options.yields = true;
  options.id_column = job.data().ledger().column();
  return options;
}

LoaderOptions EvaluationLoaderOptions(const Job& job, int worker, int num_workers) {
  LoaderOptions options = OptionsOf(job, worker, num_workers);
  if (job.train().eval_batch_size() > 0) options.batch_size = job.train().eval_batch_size();
  options.epochs = 1;
  options.shuffle = false;
  return options;
}

Result<std::unique_ptr<Loader>> Loader::Open(const Job& job, const SourceConfig& source, const LoaderOptions& options,
                                             const LoaderPosition& start) {
  WEIR_RETURN_IF_ERROR(CheckOptions(options));
  LoaderOptions raised = options;
  raised.streams = std::max(options.streams, options.num_workers);
  WEIR_ASSIGN_OR_RETURN(auto dataset, Dataset::Open(job, source, /*with_label=*/true, {}, raised.id_column));
  WEIR_RETURN_IF_ERROR(CheckPosition(start, dataset->Fingerprint(), dataset->rows()));
  WEIR_ASSIGN_OR_RETURN(std::unique_ptr<Sampler> sampler,
                        Sampler::Open(job, source, dataset->extractor(0), options.seed));
  return std::unique_ptr<Loader>(
      std::make_unique<LoaderImpl>(job, std::move(dataset), raised, start, std::move(sampler)));
}

}  // namespace weir
