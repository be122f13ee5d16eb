#include "launch/ranks.h"

#include <algorithm>
#include <array>
#include <iostream>
#include <thread>
#include <vector>

#include <ATen/Parallel.h>
#include <fmt/format.h>

#include "base/file_system.h"
#include "checkpoint/arrow_row_files.h"
#include "embeddings/local_store.h"
#include "param_server/client/remote_store.h"
#include "param_server/server/server.h"
#include "trainer/agreement.h"
#include "trainer/in_process_collective.h"
#include "trainer/process_stats.h"

namespace weir {
namespace {

// Before the job's own deadlines are known: MPI's start-up and the sharing of the job.
constexpr int64_t kStartTimeoutNs = 120 * kNanosPerSecond;

int64_t Nanos(double seconds) { return static_cast<int64_t>(seconds * 1e9); }

// A status and a payload in one gathered message.
std::vector<uint8_t> Pack(const Status& status, const std::string& payload) {
  const std::string& text = status.ok() ? payload : status.message();
  std::vector<uint8_t> bytes(1 + text.size());
  bytes[0] = static_cast<uint8_t>(status.code());
  std::copy(text.begin(), text.end(), bytes.begin() + 1);
  return bytes;
}

Result<std::string> Unpack(const std::vector<uint8_t>& bytes, int rank) {
  if (bytes.empty()) return Internal(fmt::format("rank {} sent nothing", rank));
  std::string text(bytes.begin() + 1, bytes.end());
  if (bytes[0] == static_cast<uint8_t>(StatusCode::kOk)) return text;
  return Status(static_cast<StatusCode>(bytes[0]), text);
}

int ThreadsPerWorker(const Job& job, int workers_on_host) {
  if (job.train().threads() > 0) return job.train().threads();
  return std::max<int>(1, std::thread::hardware_concurrency() / std::max(1, workers_on_host));
}

// The dense half of a worker, and the features it stands on.
struct DenseHalf {
  FeatureSet features;
  std::shared_ptr<Model> model;
  std::unique_ptr<FlatParameters> parameters;
  std::unique_ptr<DenseOptimizer> optimizer;

  static Result<DenseHalf> Make(const Job& job, int threads) {
    at::set_num_threads(threads);
    DenseHalf half;
    WEIR_ASSIGN_OR_RETURN(half.features, FeatureSet::FromJob(job));
    WEIR_ASSIGN_OR_RETURN(half.model, MakeModel(job, half.features));
    half.parameters = std::make_unique<FlatParameters>(*half.model);
    WEIR_ASSIGN_OR_RETURN(half.optimizer,
                          DenseOptimizer::Make(job.optimizers().dense(), half.parameters->values().size()));
    return half;
  }

  Worker MakeWorker(const Job& job, EmbeddingStore* store, Collective* collective) {
    return Worker{.job = &job,
                  .features = &features,
                  .model = model.get(),
                  .parameters = parameters.get(),
                  .optimizer = optimizer.get(),
                  .store = store,
                  .collective = collective};
  }
};

}  // namespace

Result<std::unique_ptr<Ranks>> Ranks::Start() {
  std::unique_ptr<Ranks> ranks(new Ranks());
  if (MpiWorld::LaunchedByMpi()) {
    WEIR_ASSIGN_OR_RETURN(ranks->world_, MpiWorld::Start(kStartTimeoutNs));
    ranks->role_ = "starting";
  }
  return ranks;
}

std::string Ranks::who() const {
  if (!world_) return role_;
  return fmt::format("rank {} ({}) on {}", world_->rank(), role_, world_->host());
}

Result<Job> Ranks::ShareJob(const std::function<Result<Job>()>& read) {
  if (!world_) return read();
  std::vector<uint8_t> bytes;
  if (world_->rank() == 0) {
    Result<Job> job = read();
    bytes = Pack(job.status(), job.ok() ? job->SerializeAsString() : "");
  }
  WEIR_RETURN_IF_ERROR(world_->Broadcast(&bytes));
  WEIR_ASSIGN_OR_RETURN(std::string text, Unpack(bytes, 0));
  Job job;
  if (!job.ParseFromString(text)) return Internal("the job that rank 0 sent could not be read");
  return job;
}

Status Ranks::Run(const Job& job, const WorkerMain& worker_main) {
  return world_ ? RunInWorld(job, worker_main) : RunAlone(job, worker_main);
}

Status Ranks::RunAlone(const Job& job, const WorkerMain& worker_main) {
  if (job.cluster().servers() > 0) {
    LOG(WARNING) << "cluster.servers=" << job.cluster().servers()
                 << " needs mpirun: running in one process, with the rows in its own memory";
  }
  WEIR_ASSIGN_OR_RETURN(DenseHalf dense, DenseHalf::Make(job, ThreadsPerWorker(job, 1)));
  std::unique_ptr<RowFiles> row_files = MakeArrowRowFiles(&LocalFileSystem());
  auto collectives = MakeInProcessCollectives(1, Nanos(job.cluster().progress_s()));
  std::unique_ptr<EmbeddingStore> store =
      MakeLocalStore(TableSpecsFromJob(job), job.cluster().virtual_shards(), row_files.get());
  return worker_main(dense.MakeWorker(job, store.get(), collectives[0].get()), [](const char*, int64_t) {});
}

Status Ranks::RunInWorld(const Job& job, const WorkerMain& worker_main) { return Status(); }

}  // namespace weir
