// Training runs, workers and server in one process but on sockets, with the bytes counted between them.
#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <memory>
#include <thread>
#include <vector>

#include <ATen/Parallel.h>
#include <fmt/format.h>

#include "base/clock.h"
#include "base/file_system.h"
#include "base/random.h"
#include "bench/bench_line.h"
#include "bench/relay.h"
#include "bench/wire_bench.h"
#include "checkpoint/arrow_row_files.h"
#include "models/flat_parameters.h"
#include "models/model.h"
#include "param_server/client/remote_store.h"
#include "param_server/server/server.h"
#include "param_server/wire_values.h"
#include "proto/job_text.h"
#include "trainer/dense_optimizer.h"
#include "trainer/in_process_collective.h"
#include "trainer/train.h"

namespace weir::bench {
namespace {

constexpr int kWorkers = 2;
constexpr int kFeatures = 26;
constexpr int kNumbers = 13;
constexpr int64_t kSteps = 32;
constexpr int64_t kTimeoutNs = 120 * kNanosPerSecond;

// Removed at the end.
class Folder {
 public:
  Folder() {
    std::string pattern = (std::filesystem::temp_directory_path() / "weir-wire-bench-XXXXXX").string();
    PCHECK(mkdtemp(pattern.data()) != nullptr);
    path_ = pattern;
  }
  ~Folder() { std::filesystem::remove_all(path_); }
  const std::string& path() const { return path_; }

 private:
  std::string path_;
};

// Ids by Zipf's law with exponent 1 from vocabularies of ten to a million, as many small as large.
void WriteData(const std::string& path, int64_t rows) {
  std::ofstream file(path);
  file << "label";
  for (int i = 1; i <= kNumbers; ++i) file << ",I" << i;
  for (int i = 1; i <= kFeatures; ++i) file << ",C" << i;
  file << "\n";
  for (int64_t row = 0; row < rows; ++row) {
    uint64_t draw = 0;
    const auto next = [&] { return UnitDouble(RandomBits(11, RandomPurpose::kSampling, row, draw++)); };
    file << (next() < 0.25);
    for (int i = 0; i < kNumbers; ++i) file << "," << static_cast<int>(std::exp(4 * next()));
    for (int i = 0; i < kFeatures; ++i) {
      const double vocabulary = std::pow(10, 1 + 5.0 * i / (kFeatures - 1));
      file << "," << static_cast<int64_t>(std::pow(vocabulary, next()));
    }
    file << "\n";
  }
  CHECK(file.flush()) << "cannot write " << path;
}

Job ReadBenchJob(const std::string& data, const std::string& output, WireConfig::Type wire) {
  const std::string path = std::string(WEIR_SOURCE_DIR) + "/bench/dlrm_small.textproto";
  const auto text = Must(LocalFileSystem().ReadAll(path, 1 << 20));
  const std::vector<std::string> overrides = {"data.train.uri=" + data,
                                              "output=" + output,
                                              fmt::format("train.max_steps={}", kSteps),
                                              "cluster.servers=1",
                                              "cluster.wire.pull=" + WireConfig::Type_Name(wire),
                                              "cluster.wire.push=" + WireConfig::Type_Name(wire),
                                              "metrics.tensorboard=false",
                                              "metrics.every_s=100000"};
  return Must(ReadJob(path, text, overrides, nullptr));
}

// Trains as one worker of the job; what its store counted.
StoreStats TrainAs(int worker, const Job& job, const ServerAddress& server, const JobToken& token,
                   Collective* collective) {
  at::set_num_threads(1);
  RemoteStoreOptions options;
  options.worker = worker;
  options.num_workers = kWorkers;
  options.servers = {server};
  options.token = token;
  options.virtual_shards = job.cluster().virtual_shards();
  options.tables = TableSpecsFromJob(job);
  const auto store = Must(RemoteStore::Connect(std::move(options)));
  const FeatureSet features = Must(FeatureSet::FromJob(job));
  const std::shared_ptr<Model> model = Must(MakeModel(job, features));
  FlatParameters parameters(*model);
  const auto optimizer = Must(DenseOptimizer::Make(job.optimizers().dense(), parameters.values().size()));
  CHECK_EQ(Must(Train({.job = &job,
                       .features = &features,
                       .model = model.get(),
                       .parameters = &parameters,
                       .optimizer = optimizer.get(),
                       .store = store.get(),
                       .collective = collective},
                      TrainOptions()))
               .steps,
           kSteps);
  StoreStats stats = Must(store->Stats());
  Must(collective->Barrier());
  if (worker == 0) Must(store->Shutdown());
  Must(collective->Barrier());
  return stats;
}

struct Traffic {
  double socket_bytes = 0;  // of a sample
  double store_bytes = 0;   // of a sample, as the workers' stores count
  double share = 0;         // distinct keys of the looked-up values
};

Traffic Measure(const Job& job) {
  const auto row_files = MakeArrowRowFiles(&LocalFileSystem());
  const JobToken token = Must(MakeToken());
  ServerOptions options;
  options.num_workers = kWorkers;
  options.token = token;
  options.virtual_shards = job.cluster().virtual_shards();
  options.tables = TableSpecsFromJob(job);
  options.row_files = row_files.get();
  const auto server = Must(Server::Start(std::move(options)));
  std::vector<StoreStats> stats(kWorkers);
  auto relay = std::make_unique<Relay>(server->address(), /*delay_ns=*/0);
  const auto collectives = MakeInProcessCollectives(kWorkers, kTimeoutNs);
  std::vector<std::thread> threads;
  for (int worker = 0; worker < kWorkers; ++worker) {
    threads.emplace_back(
        [&, worker] { stats[worker] = TrainAs(worker, job, relay->address(), token, collectives[worker].get()); });
  }
  for (std::thread& thread : threads) thread.join();
  Must(server->Wait());
  const auto samples = static_cast<double>(kSteps * job.train().batch_size());
  Traffic traffic;
  traffic.socket_bytes = static_cast<double>(relay->bytes()) / samples;
  for (const StoreStats& of : stats) {
    traffic.store_bytes += static_cast<double>(of.bytes_sent + of.bytes_received) / samples;
  }
  traffic.share = static_cast<double>(stats[0].servers[0].keys_pulled) / (kFeatures * samples);
  return traffic;
}

// Rounds of one figure.
Rounds Once(double value) {
  Rounds rounds;
  rounds.Add(value);
  return rounds;
}

}  // namespace

void BytesBench(const std::string& data) {
  const Folder folder;
  std::string source = data;
  if (source.empty()) {
    source = folder.path() + "/data.csv";
    WriteData(source, /*rows=*/kSteps * 2048);
  }
  for (const WireConfig::Type wire : {WireConfig::FLOAT32, WireConfig::BFLOAT16}) {
    const Job job = ReadBenchJob(source, folder.path() + "/" + WireConfig::Type_Name(wire), wire);
    const Traffic traffic = Measure(job);
    const double formula = kFeatures * traffic.share * (8 + 2 * job.tables(0).dim() * WireValueBytes(wire));
    const std::string name = wire == WireConfig::FLOAT32 ? "float32" : "bfloat16";
    const Rounds socket = Once(traffic.socket_bytes), expected = Once(formula);
    PrintLine("bytes", name, "bytes/sample", socket, "distinct_keys_and_values", &expected);
    PrintLine("bytes", name + "_by_store", "bytes/sample", Once(traffic.store_bytes), "socket", &socket);
    PrintLine("bytes", name + "_share", "distinct/value", Once(traffic.share), "", nullptr);
  }
}

}  // namespace weir::bench
