// dense_bench: the dense net alone, as a worker trains it: forward, backward, sum over workers and optimizer, with
// inputs that lie ready in memory; what training would reach if rows and data cost nothing. Starts 2 workers of one
// thread.
#include <malloc.h>
#include <unistd.h>

#include <chrono>
#include <cstdlib>
#include <fstream>
#include <random>
#include <sstream>
#include <vector>

#include <ATen/Parallel.h>
#include <fmt/format.h>
#include <gflags/gflags.h>
#include <glog/logging.h>

#include "base/clock.h"
#include "models/flat_parameters.h"
#include "models/model.h"
#include "proto/job_text.h"
#include "trainer/dense_optimizer.h"
#include "trainer/gradient_buckets.h"
#include "trainer/mpi_world.h"

DEFINE_string(net, "kaggle", "which job of bench/: kaggle, small, small64");
DEFINE_int32(batch, 2048, "samples of a step and worker");
DEFINE_int32(steps, 200, "steps timed, of the best of 5 rounds");
DEFINE_int32(workers, 2, "processes of one thread each");
DEFINE_int64(bucket_bytes, 0, "cluster.gradient_bucket_bytes; 0 takes the job's");

namespace weir::bench {
namespace {

constexpr int kRounds = 5;
constexpr int kWarmUp = 20;
constexpr int kBatches = 8;  // that lie ready
constexpr int64_t kTimeoutNanos = 60 * kNanosPerSecond;

template <typename T>
T Must(Result<T> result) {
  CHECK(result.ok()) << result.status().ToString();
  return std::move(result).value();
}

Job ReadBenchJob() {
  const std::string path = fmt::format("{}/bench/dlrm_{}.textproto", WEIR_SOURCE_DIR, FLAGS_net);
  std::ifstream file(path);
  CHECK(file) << "cannot read " << path;
  std::stringstream text;
  text << file.rdbuf();
  const std::vector<std::string> overrides = {"data.train.uri=none"};
  JobErrors errors;
  Result<Job> job = ReadJob(path, text.str(), overrides, &errors);
  CHECK(job.ok()) << job.status().ToString();
  return std::move(job).value();
}

// Of one worker.
class DenseNet {
 public:
  DenseNet(const Job& job, Collective* collective)
      : features_(Must(FeatureSet::FromJob(job))),
        model_(Must(MakeModel(job, features_))),
        parameters_(*model_),
        optimizer_(Must(DenseOptimizer::Make(job.optimizers().dense(), parameters_.values().size()))),
        workers_(collective->size()),
        gradients_(&parameters_, collective,
                   FLAGS_bucket_bytes > 0 ? FLAGS_bucket_bytes : job.cluster().gradient_bucket_bytes()) {
    torch::NoGradGuard no_grad;
    for (int i = 0; i < kBatches; ++i) {
      numeric_.push_back(torch::rand({FLAGS_batch, int64_t{features_.numeric_dim}}));
      pooled_.push_back(torch::rand({FLAGS_batch, features_.pooled_dim}) * 0.1 - 0.05);
      labels_.push_back((torch::rand({FLAGS_batch}) < 0.25).to(torch::kFloat32));
    }
  }

  void Step(int64_t step) {
    const int i = static_cast<int>(step % kBatches);
    gradients_.Begin(step);
    torch::Tensor pooled = pooled_[i].detach().requires_grad_(true);
    const ForwardContext context{.training = true, .seed = 1, .step = step, .sample_index = sample_index_.data()};
    const torch::Tensor logits = model_->Forward(numeric_[i], pooled, context);
    const torch::Tensor gradient = (torch::sigmoid(logits.detach()) - labels_[i]) / (FLAGS_batch * workers_);
    logits.backward(gradient);
    CHECK(pooled.grad().defined());
    Status summed = gradients_.StartRest();
    if (summed.ok()) summed = gradients_.FinishAll();
    CHECK(summed.ok()) << summed.ToString();
    optimizer_->Step(step, parameters_.values(), parameters_.gradients());
  }

 private:
  const FeatureSet features_;
  const std::shared_ptr<Model> model_;
  FlatParameters parameters_;
  const std::unique_ptr<DenseOptimizer> optimizer_;
  const int workers_;
  GradientBuckets gradients_;
  const std::vector<int64_t> sample_index_ = std::vector<int64_t>(FLAGS_batch);
  std::vector<torch::Tensor> numeric_, pooled_, labels_;
};

void RunWorker() {
  // As a worker does (launch/ranks.cc).
  mallopt(M_MMAP_THRESHOLD, 32 << 20);
  mallopt(M_TRIM_THRESHOLD, 1 << 30);
  mallopt(M_TOP_PAD, 64 << 20);
  at::set_num_threads(1);
  auto world = Must(MpiWorld::Start(kTimeoutNanos));
  auto collective = Must(world->MakeWorkerCollective(world->size(), kTimeoutNanos));
  DenseNet net(ReadBenchJob(), collective.get());
  int64_t step = 0;
  for (int i = 0; i < kWarmUp; ++i) net.Step(++step);
  double best = 0, worst = 1e30;
  for (int round = 0; round < kRounds; ++round) {
    CHECK(collective->Barrier().ok());
    const int64_t begin_ns = SystemClock().SteadyNanos();
    for (int i = 0; i < FLAGS_steps / kRounds; ++i) net.Step(++step);
    CHECK(collective->Barrier().ok());
    const double seconds = static_cast<double>(SystemClock().SteadyNanos() - begin_ns) / kNanosPerSecond;
    const double rate = static_cast<double>(FLAGS_steps / kRounds) * FLAGS_batch * world->size() / seconds;
    best = std::max(best, rate);
    worst = std::min(worst, rate);
  }
  if (world->rank() == 0) {
    fmt::print(
        "{{\"bench\": \"dense\", \"case\": \"{}\", \"samples_per_s\": {:.1f}, \"value\": {:.1f}, \"unit\": "
        "\"samples/s\", "
        "\"min\": {:.1f}, \"max\": {:.1f}, \"against\": null, \"ratio\": null}}\n",
        FLAGS_net, best, best, worst, best);
    std::fflush(stdout);
  }
  collective.reset();
  CHECK(world->Finish().ok());
}

// Becomes mpirun, which starts this program once for each worker.
[[noreturn]] void StartWorkers(char** arguments) {
  setenv("OMPI_ALLOW_RUN_AS_ROOT", "1", 1);
  setenv("OMPI_ALLOW_RUN_AS_ROOT_CONFIRM", "1", 1);
  setenv("OMP_NUM_THREADS", "1", 1);
  std::vector<std::string> words = {"mpirun",          "--bind-to", "none",
                                    "--oversubscribe", "-n",        std::to_string(FLAGS_workers)};
  for (char** argument = arguments; *argument != nullptr; ++argument) words.emplace_back(*argument);
  std::vector<char*> pointers;
  for (std::string& word : words) pointers.push_back(word.data());
  pointers.push_back(nullptr);
  execvp(pointers[0], pointers.data());
  PLOG(FATAL) << "cannot start mpirun";
  std::abort();
}

}  // namespace
}  // namespace weir::bench

int main(int argc, char** argv) {
  const std::vector<char*> given(argv, argv + argc + 1);
  gflags::ParseCommandLineFlags(&argc, &argv, /*remove_flags=*/true);
  if (!weir::MpiWorld::LaunchedByMpi()) weir::bench::StartWorkers(const_cast<char**>(given.data()));
  weir::bench::RunWorker();
  return 0;
}
