#include "launch/ranks.h"

#include <malloc.h>

#include <algorithm>
#include <cstring>
#include <iostream>
#include <thread>
#include <vector>

#include <ATen/Parallel.h>
#include <fmt/format.h>

#include "base/file_system.h"
#include "checkpoint/arrow_row_files.h"
#include "embeddings/local_store.h"
#include "launch/table_specs.h"
#include "param_server/client/remote_store.h"
#include "param_server/server/server.h"
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

// The net's activations and the frames of pulls and pushes are allocated and freed each step: keeping their pages saves
// the kernel clearing them anew, a sixth of a step's time. Costs at most the slack below in resident memory.
void KeepFreedMemory() {
  mallopt(M_MMAP_THRESHOLD, 32 << 20);
  mallopt(M_TRIM_THRESHOLD, 1 << 30);
  mallopt(M_TOP_PAD, 64 << 20);
}

SumOrder SumOrderOf(const ClusterConfig& cluster) {
  return cluster.all_reduce() == ClusterConfig::LIBRARY ? SumOrder::kLibrary : SumOrder::kRank;
}

int ThreadsPerWorker(const Job& job, int workers_on_host) {
  if (job.train().threads() > 0) return job.train().threads();
  return std::max<int>(1, std::thread::hardware_concurrency() / std::max(1, workers_on_host));
}

// Null where the job asks for none.
Result<std::shared_ptr<const TlsCredentials>> LoadTls(const Job& job) {
  if (!job.cluster().has_tls()) return std::shared_ptr<const TlsCredentials>();
  const TlsConfig& tls = job.cluster().tls();
  return TlsCredentials::Load({.certificate = tls.certificate(), .key = tls.key(), .authority = tls.authority()});
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

  Worker MakeWorker(const Job& job, EmbeddingStore* store, Collective* collective, Trace* trace) {
    return Worker{.job = &job,
                  .features = &features,
                  .model = model.get(),
                  .parameters = parameters.get(),
                  .optimizer = optimizer.get(),
                  .store = store,
                  .collective = collective,
                  .trace = trace};
  }
};

}  // namespace

Result<std::unique_ptr<Ranks>> Ranks::Start(const std::string& command) {
  KeepFreedMemory();
  std::unique_ptr<Ranks> ranks(new Ranks(command));
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

Result<std::string> Ranks::ShareText(const std::function<Result<std::string>()>& read) {
  if (!world_) return read();
  std::vector<uint8_t> bytes;
  if (world_->rank() == 0) {
    Result<std::string> text = read();
    bytes = Pack(text.status(), text.ok() ? *text : "");
  }
  WEIR_RETURN_IF_ERROR(world_->Broadcast(&bytes));
  Result<std::string> text = Unpack(bytes, 0);
  if (!text.ok()) return Shared(text.status(), 0);
  return text;
}

Result<Job> Ranks::ShareJob(const std::function<Result<Job>()>& read) {
  WEIR_ASSIGN_OR_RETURN(std::string bytes, ShareText([&]() -> Result<std::string> {
                          WEIR_ASSIGN_OR_RETURN(Job job, read());
                          return job.SerializeAsString();
                        }));
  Job job;
  if (!job.ParseFromString(bytes)) return Internal("the job that rank 0 sent could not be read");
  return job;
}

Status Ranks::Run(const Job& job, const WorkerMain& worker_main) {
  if (job.train().trace()) {
    WEIR_ASSIGN_OR_RETURN(trace_, RankTrace::Start(world_.get()));
  }
  return world_ ? RunInWorld(job, worker_main) : RunAlone(job, worker_main);
}

Status Ranks::WriteTrace(const std::string& path) {
  return trace_ ? trace_->Write(&LocalFileSystem(), path, who()) : Status();
}

Status Ranks::RunAlone(const Job& job, const WorkerMain& worker_main) {
  if (job.cluster().servers() > 0) {
    LOG(WARNING) << "cluster.servers=" << job.cluster().servers()
                 << " needs mpirun: running in one process, with the rows in its own memory";
  }
  WEIR_ASSIGN_OR_RETURN(DenseHalf dense, DenseHalf::Make(job, ThreadsPerWorker(job, 1)));
  std::unique_ptr<RowFiles> row_files = MakeArrowRowFiles(&LocalFileSystem());
  auto collectives = MakeInProcessCollectives(1, Nanos(job.cluster().progress_s()));
  WEIR_ASSIGN_OR_RETURN(std::vector<TableSpec> tables, ReadTableSpecs(&LocalFileSystem(), job));
  std::unique_ptr<EmbeddingStore> store =
      MakeLocalStore(std::move(tables), job.cluster().virtual_shards(), row_files.get());
  return worker_main(dense.MakeWorker(job, store.get(), collectives[0].get(), trace()), [](const char*, int64_t) {});
}

Status Ranks::RunInWorld(const Job& job, const WorkerMain& worker_main) {
  const int servers = job.cluster().servers();
  const int workers = world_->size() - servers;
  if (workers < 1) {
    return InvalidArgument(
        fmt::format("expected more ranks than cluster.servers={}, found {}: raise mpirun -n", servers, world_->size()));
  }
  const bool is_worker = rank() < workers;
  role_ = is_worker ? fmt::format("worker {}", rank()) : fmt::format("server {}", rank() - workers);
  std::unique_ptr<RowFiles> row_files = MakeArrowRowFiles(&LocalFileSystem());
  WEIR_ASSIGN_OR_RETURN(JobToken token, ShareToken());

  const Result<std::shared_ptr<const TlsCredentials>> tls = LoadTls(job);
  // Servers first: their addresses are what everybody needs.
  std::unique_ptr<Server> server;
  std::string address;
  const Result<std::vector<TableSpec>> tables = ReadTableSpecs(&LocalFileSystem(), job);
  Status started = (tables.ok() ? tls.status() : tables.status()).Wrap(who());
  if (started.ok() && (!is_worker || servers == 0)) {
    ServerOptions options = MakeServerOptions(job, is_worker ? rank() : rank() - workers, workers, token);
    options.tables = *tables;
    options.row_files = row_files.get();
    options.trace = trace();
    options.tls = *tls;
    Result<std::unique_ptr<Server>> result = Server::Start(std::move(options));
    started = result.status().Wrap(who());
    if (result.ok()) {
      server = std::move(*result);
      ServerAddress listening = server->address();
      // Listening everywhere, it is reached by the name that the other hosts know.
      if (BindsEverywhere(job)) listening.host = world_->host();
      address = listening.ToString();
    }
  }
  WEIR_ASSIGN_OR_RETURN(std::vector<ServerAddress> addresses, ShareAddresses(started, address));
  if (!is_worker) return server->Wait();
  RemoteStoreOptions options;
  options.servers = std::move(addresses);
  options.token = token;
  options.tables = *tables;
  options.tls = *tls;
  options.colocated = server.get();
  options.colocated_index = server == nullptr ? -1 : rank();
  options.hot_rows = {.rows_max = job.cluster().hot_rows(), .age_steps = job.cluster().hot_row_age()};
  return RunWorker(job, workers, std::move(options), server.get(), worker_main);
}

Result<JobToken> Ranks::ShareToken() {
  std::vector<uint8_t> bytes;
  if (rank() == 0) {
    WEIR_ASSIGN_OR_RETURN(JobToken token, MakeToken());
    bytes.assign(token.begin(), token.end());
  }
  WEIR_RETURN_IF_ERROR(world_->Broadcast(&bytes));
  JobToken token;
  CHECK_EQ(bytes.size(), token.size());
  std::copy(bytes.begin(), bytes.end(), token.begin());
  return token;
}

Result<std::vector<ServerAddress>> Ranks::ShareAddresses(const Status& started, const std::string& mine) {
  WEIR_ASSIGN_OR_RETURN(auto gathered, world_->AllGather(Pack(started, mine)));
  std::vector<ServerAddress> addresses;
  for (int r = 0; r < size(); ++r) {
    Result<std::string> text = Unpack(gathered[r], r);
    if (!text.ok()) return Shared(text.status(), r);
    if (text->empty()) continue;  // no server there
    WEIR_ASSIGN_OR_RETURN(ServerAddress address, ServerAddress::FromString(*text));
    addresses.push_back(address);
  }
  return addresses;
}

bool Ranks::BindsEverywhere(const Job& job) const {
  return job.cluster().bind_address().empty() && !world_->one_host();
}

ServerOptions Ranks::MakeServerOptions(const Job& job, int server, int workers, const JobToken& token) const {
  const ClusterConfig& cluster = job.cluster();
  ServerOptions options;
  options.server = server;
  options.num_servers = cluster.servers() > 0 ? cluster.servers() : workers;
  options.num_workers = workers;
  options.bind_address = cluster.bind_address();
  // The name of a host often stands for its loopback address there (Debian's /etc/hosts), so it cannot be bound.
  if (options.bind_address.empty()) options.bind_address = BindsEverywhere(job) ? "0.0.0.0" : "127.0.0.1";
  options.port = cluster.base_port() == 0 ? 0 : cluster.base_port() + server;
  options.token = token;
  options.max_frame_bytes = cluster.max_frame_bytes();
  options.silence_ns = Nanos(cluster.silence_s());
  options.progress_ns = Nanos(cluster.progress_s());
  options.virtual_shards = cluster.virtual_shards();
  options.look_ahead = cluster.has_look_ahead() ? cluster.look_ahead() > 0 : !world_->one_host();
  return options;
}

Status Ranks::RunWorker(const Job& job, int workers, RemoteStoreOptions options, Server* colocated,
                        const WorkerMain& worker_main) {
  const int64_t progress_ns = Nanos(job.cluster().progress_s());
  Watchdog watchdog(who(), progress_ns, [this](const std::string& message) { Fail(DeadlineExceeded(message)); });
  WEIR_ASSIGN_OR_RETURN(DenseHalf dense, DenseHalf::Make(job, ThreadsPerWorker(job, WorkersOnThisHost(workers))));
  WEIR_ASSIGN_OR_RETURN(auto collective, world_->MakeWorkerCollective(workers, progress_ns, SumOrderOf(job.cluster())));

  options.worker = rank();
  options.num_workers = workers;
  options.max_frame_bytes = job.cluster().max_frame_bytes();
  options.silence_ns = Nanos(job.cluster().silence_s());
  options.progress_ns = progress_ns;
  options.virtual_shards = job.cluster().virtual_shards();
  // A dead peer is named at once, also while this worker computes or waits for the dead one in a collective.
  options.on_failure = [this](const Status& status) { Fail(status); };
  WEIR_ASSIGN_OR_RETURN(auto store, RemoteStore::Connect(std::move(options)));

  const Status done = worker_main(dense.MakeWorker(job, store.get(), collective.get(), trace()),
                                  [&](const char* what, int64_t number) { watchdog.Mark(what, number); });
  if (!done.ok()) {
    // Before connections close: others would take that for this rank's death, and end the job without its reason.
    Say(done);
    return done;
  }

  // Nobody leaves while another still needs rows; then worker 0 ends the servers.
  WEIR_RETURN_IF_ERROR(collective->Barrier());
  if (rank() == 0) WEIR_RETURN_IF_ERROR(store->Shutdown());
  store.reset();  // says goodbye: a server ends once all workers have
  return colocated == nullptr ? Status() : colocated->Wait();
}

int Ranks::WorkersOnThisHost(int workers) const {
  int count = 0;
  for (int r = 0; r < workers; ++r) count += world_->hosts()[r] == world_->host();
  return count;
}

Status Ranks::Shared(const Status& status, int origin) {
  reported_by_ = origin;
  return status;
}

Result<int64_t> Ranks::TotalPeakRssBytes() {
  WEIR_ASSIGN_OR_RETURN(int64_t mine, PeakRssBytes());
  if (!world_) return mine;
  std::vector<uint8_t> bytes(sizeof(mine));
  std::memcpy(bytes.data(), &mine, sizeof(mine));
  WEIR_ASSIGN_OR_RETURN(auto all, world_->AllGather(bytes));
  int64_t total = 0;
  for (const std::vector<uint8_t>& theirs : all) {
    CHECK_EQ(theirs.size(), sizeof(mine));
    std::memcpy(&mine, theirs.data(), sizeof(mine));
    total += mine;
  }
  return total;
}

void Ranks::Print(const Status& status) const {
  const std::string name = world_ ? fmt::format("weir {}: {}", command_, who()) : "weir " + command_;
  std::cerr << fmt::format("{}: {}\n", name, status.ToString()) << std::flush;
}

void Ranks::Say(const Status& status) {
  if (std::exchange(said_, true)) return;
  if (reported_by_ < 0 || reported_by_ == rank()) Print(status);
}

void Ranks::Fail(const Status& status) const {
  Print(status);
  MpiWorld::Abort(1);
}

int Ranks::Finish(const Status& status) {
  Status ended = status;
  if (ended.ok() && world_) ended = world_->Finish();
  if (ended.ok()) return 0;
  const bool all_know = reported_by_ >= 0;
  Say(ended);
  if (world_ && !(all_know && world_->Finish().ok())) MpiWorld::Abort(1);
  return 1;
}

}  // namespace weir
