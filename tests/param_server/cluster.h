// What the tests of the parameter server share: row files in memory, tables, servers and workers in one process, and a
// bare socket that speaks bytes of the test's choice.
#pragma once

#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>

#include <cstring>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "base/clock.h"
#include "base/crc32c.h"
#include "base/random.h"
#include "embeddings/local_store.h"
#include "embeddings/table_policy.h"
#include "param_server/client/remote_store.h"
#include "param_server/row_messages.h"
#include "param_server/server/server.h"

#if defined(__SANITIZE_THREAD__)
// glog asks libc for the time zone, whose lock the sanitizer does not see.
extern "C" const char* __tsan_default_suppressions() { return "race:google::LogMessageTime\n"; }
#endif

namespace weir::testing {

inline constexpr JobToken kToken = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16};
inline constexpr int kShards = 16;

struct SavedRow {
  int64_t last_step = 0;
  uint64_t count = 0;
  std::vector<float> values;
  bool operator==(const SavedRow& other) const {
    return last_step == other.last_step && count == other.count && values.size() == other.values.size() &&
           std::memcmp(values.data(), other.values.data(), values.size() * sizeof(float)) == 0;
  }
};
// (table, key) -> row
using SavedRows = std::map<std::pair<std::string, uint64_t>, SavedRow>;

// Folders are entries of a map. `block_ns` makes each block of a save take that long.
class MemoryRowFiles : public RowFiles {
 public:
  int64_t block_ns = 0;
  int blocks = 1;
  Status write_error;

  Result<std::vector<DataFile>> Write(const TableSet& tables, ShardRange shards, const std::string& folder,
                                      const std::string& writer, const std::function<void()>& on_block) override {
    for (int i = 0; i < blocks && block_ns > 0; ++i) {
      SystemClock().SleepNanos(block_ns);
      on_block();
    }
    if (!write_error.ok()) return write_error;
    std::vector<DataFile> files;
    for (int table = 0; table < tables.num_tables(); ++table) {
      DataFile file;
      file.set_name(fmt::format("rows-{}-{}", writer, tables.spec(table).name));
      file.set_kind(DataFile::ROWS);
      file.set_table(tables.spec(table).name);
      file.set_shard_begin(shards.begin);
      file.set_shard_end(shards.end);
      SavedRows rows;
      const int width = tables.spec(table).layout.width();
      WEIR_RETURN_IF_ERROR(tables.Scan(table, shards.begin, shards.end, 7, [&](const RowBlock& block) {
        for (int64_t i = 0; i < block.num_rows; ++i) {
          rows[{file.table(), block.keys[i]}] = {
              block.last_steps[i], block.counts[i], {block.values + i * width, block.values + (i + 1) * width}};
        }
        return Status();
      }));
      file.set_rows(rows.size());
      std::lock_guard lock(mutex_);
      const TablePolicy& policy = tables.policy(table);
      policies_[folder][{file.table(), -1}] = policy.Save();
      for (int shard = shards.begin; shard < shards.end; ++shard) {
        policies_[folder][{file.table(), shard}] = policy.SaveShard(shard);
      }
      folders_[folder][file.name()] = std::move(rows);
      files.push_back(file);
    }
    return files;
  }

  Status Read(const std::string& folder, std::span<const DataFile> files, ShardRange shards, TableSet* tables,
              const std::function<void()>& on_block) override {
    for (const DataFile& file : files) {
      std::unique_lock lock(mutex_);
      const SavedRows rows = folders_[folder][file.name()];
      lock.unlock();
      for (const auto& [key, row] : rows) {
        const int shard = VirtualShard(key.second, tables->virtual_shards());
        if (shard < shards.begin || shard >= shards.end) continue;
        for (int table = 0; table < tables->num_tables(); ++table) {
          if (tables->spec(table).name != key.first) continue;
          const RowBlock block{1, &key.second, &row.last_step, &row.count, row.values.data()};
          WEIR_RETURN_IF_ERROR(tables->Load(table, block));
        }
      }
      on_block();
    }
    for (int table = 0; table < tables->num_tables(); ++table) {
      const std::string& name = tables->spec(table).name;
      std::lock_guard lock(mutex_);
      auto& pieces = policies_[folder];
      WEIR_RETURN_IF_ERROR(tables->mutable_policy(table)->Load(pieces[{name, -1}]));
      for (int shard = shards.begin; shard < shards.end; ++shard) {
        WEIR_RETURN_IF_ERROR(tables->mutable_policy(table)->LoadShard(shard, pieces[{name, shard}]));
      }
    }
    return Status();
  }

  // (table, virtual shard, or -1 for the whole table) -> what its limits remember
  using Policies = std::map<std::pair<std::string, int>, std::vector<uint8_t>>;
  Policies PoliciesOf(const std::string& folder) {
    std::lock_guard lock(mutex_);
    return policies_[folder];
  }

  // What Load takes.
  std::vector<DataFile> FilesOf(const std::string& folder) {
    std::lock_guard lock(mutex_);
    std::vector<DataFile> files;
    for (const auto& [name, rows] : folders_[folder]) files.emplace_back().set_name(name);
    return files;
  }

  SavedRows Rows(const std::string& folder) {
    std::lock_guard lock(mutex_);
    SavedRows all;
    for (auto& [name, rows] : folders_[folder]) all.insert(rows.begin(), rows.end());
    return all;
  }

 private:
  std::mutex mutex_;
  std::map<std::string, std::map<std::string, SavedRows>> folders_;
  std::map<std::string, Policies> policies_;
};

// Three tables: dims 4, 1 and 6; AdaGrad, SGD and Adam.
inline std::vector<TableSpec> TestTables() {
  std::vector<TableSpec> tables(3);
  const int dims[] = {4, 1, 6};
  tables[0].optimizer.mutable_adagrad();
  tables[1].optimizer.mutable_sgd();
  tables[2].optimizer.mutable_adam();
  for (int t = 0; t < 3; ++t) {
    tables[t].name = fmt::format("table{}", t);
    tables[t].optimizer.set_learning_rate(0.05);
    tables[t].initializer.mutable_uniform();
    tables[t].seed = 77 + t;
    tables[t].layout = MakeRowLayout(dims[t], tables[t].optimizer);
  }
  return tables;
}

// One table, dim 1, SGD of rate 1 on weights that begin at 0: a weight is minus the sum of its gradients, exactly, if
// these are small integers, in any order.
inline std::vector<TableSpec> SumTable() {
  std::vector<TableSpec> tables(1);
  tables[0].name = "sum";
  tables[0].optimizer.mutable_sgd();
  tables[0].optimizer.set_learning_rate(1);
  tables[0].initializer.mutable_constant()->set_value(0);
  tables[0].layout = MakeRowLayout(1, tables[0].optimizer);
  return tables;
}

// The keys and gradients of one worker's step: a function of (seed, step, worker). Now and then empty, as a whole or in
// a table; extreme keys among them.
struct StepData {
  std::vector<std::vector<uint64_t>> keys;
  std::vector<std::vector<float>> rows;
  std::vector<std::vector<float>> gradients;
  std::vector<TablePull> pulls;
  std::vector<TablePush> pushes;

  StepData(uint64_t seed, int64_t step, int worker, std::span<const TableSpec> tables, int keys_max = 40) {
    uint64_t draw = 0;
    const auto next = [&](uint64_t bound) {
      return BoundedIndex(RandomBits(seed, RandomPurpose::kSampling, step * 64 + worker, draw++), bound);
    };
    const bool empty = next(8) == 0;
    keys.resize(tables.size());
    rows.resize(tables.size());
    gradients.resize(tables.size());
    for (size_t t = 0; t < tables.size(); ++t) {
      const uint64_t count = empty || next(6) == 0 ? 0 : next(keys_max);
      std::map<uint64_t, bool> seen;
      for (uint64_t i = 0; i < count; ++i) {
        uint64_t key = next(120) * 0x9e3779b97f4a7c15ULL;
        if (next(30) == 0) key = ~uint64_t{0};
        if (seen.emplace(key, true).second) keys[t].push_back(key);
      }
      const size_t values = keys[t].size() * tables[t].layout.dim;
      rows[t].resize(values);
      for (size_t i = 0; i < values; ++i) {
        gradients[t].push_back(UnitFloat(RandomBits(seed, RandomPurpose::kSampling, step, draw++)) - 0.5f);
      }
    }
    for (size_t t = 0; t < tables.size(); ++t) {
      if (keys[t].empty() && next(2) == 0) continue;  // both ways to say "no keys"
      pulls.push_back({static_cast<int>(t), keys[t], rows[t].data()});
      pushes.push_back({static_cast<int>(t), keys[t], gradients[t].data()});
    }
  }
  StepData(const StepData&) = delete;
};

inline ServerOptions TestServerOptions(int server, int num_servers, int num_workers, RowFiles* row_files,
                                       double silence_s = 10) {
  ServerOptions options;
  options.server = server;
  options.num_servers = num_servers;
  options.num_workers = num_workers;
  options.token = kToken;
  options.max_frame_bytes = 1 << 20;
  options.silence_ns = static_cast<int64_t>(silence_s * kNanosPerSecond);
  options.progress_ns = 20 * kNanosPerSecond;
  options.virtual_shards = kShards;
  options.tables = TestTables();
  options.row_files = row_files;
  return options;
}

inline RemoteStoreOptions TestStoreOptions(int worker, int num_workers, std::vector<ServerAddress> servers,
                                           double silence_s = 10) {
  RemoteStoreOptions options;
  options.worker = worker;
  options.num_workers = num_workers;
  options.servers = std::move(servers);
  options.token = kToken;
  options.max_frame_bytes = 1 << 20;
  options.silence_ns = static_cast<int64_t>(silence_s * kNanosPerSecond);
  options.progress_ns = 20 * kNanosPerSecond;
  options.virtual_shards = kShards;
  options.tables = TestTables();
  return options;
}

// A job's servers: `num_servers` of their own, or, if that is 0, one beside each worker.
class Cluster {
 public:
  Cluster(int num_servers, int num_workers, RowFiles* row_files, double silence_s = 10, bool tcp_only = false,
          std::vector<TableSpec> tables = TestTables(), Consistency consistency = {}, bool look_ahead = true,
          std::shared_ptr<const TlsCredentials> tls = nullptr, HotRowsOptions hot_rows = {})
      : num_workers_(num_workers),
        colocated_(num_servers == 0),
        silence_s_(silence_s),
        hot_rows_(hot_rows),
        tables_(std::move(tables)),
        tls_(std::move(tls)) {
    for (TableSpec& table : tables_) table.consistency = consistency;
    const int count = colocated_ ? num_workers : num_servers;
    for (int i = 0; i < count; ++i) {
      ServerOptions options = TestServerOptions(i, count, num_workers, row_files, silence_s);
      options.tables = tables_;
      options.look_ahead = look_ahead;
      options.tls = tls_;
      auto server = Server::Start(std::move(options));
      EXPECT_TRUE(server.ok()) << server.status().ToString();
      addresses_.push_back((*server)->address());
      if (tcp_only) addresses_.back().unix_name.clear();
      servers_.push_back(std::move(*server));
    }
  }

  RemoteStoreOptions StoreOptions(int worker) const {
    RemoteStoreOptions options = TestStoreOptions(worker, num_workers_, addresses_, silence_s_);
    options.tables = tables_;
    options.tls = tls_;
    options.hot_rows = hot_rows_;
    if (colocated_) {
      options.colocated = servers_[worker].get();
      options.colocated_index = worker;
    }
    return options;
  }
  std::unique_ptr<RemoteStore> Connect(int worker) const {
    auto store = RemoteStore::Connect(StoreOptions(worker));
    EXPECT_TRUE(store.ok()) << store.status().ToString();
    return store.ok() ? std::move(*store) : nullptr;
  }

  Server& server(int i) { return *servers_[i]; }
  int size() const { return static_cast<int>(servers_.size()); }
  const ServerAddress& address(int i) const { return addresses_[i]; }

 private:
  const int num_workers_;
  const bool colocated_;
  const double silence_s_;
  const HotRowsOptions hot_rows_;
  std::vector<TableSpec> tables_;
  std::shared_ptr<const TlsCredentials> tls_;
  std::vector<ServerAddress> addresses_;
  std::vector<std::unique_ptr<Server>> servers_;
};

// Connects the stores of all workers and lets each do its work, on a thread of its own. Null where one did not connect.
inline std::vector<std::unique_ptr<RemoteStore>> RunWorkers(
    const Cluster& cluster, int num_workers, const std::function<void(int worker, RemoteStore* store)>& work) {
  std::vector<std::unique_ptr<RemoteStore>> stores(num_workers);
  std::vector<std::thread> threads;
  for (int w = 0; w < num_workers; ++w) {
    threads.emplace_back([&, w] {
      stores[w] = cluster.Connect(w);
      if (stores[w]) work(w, stores[w].get());
    });
  }
  for (std::thread& thread : threads) thread.join();
  return stores;
}

// A TCP socket under the test's control.
class RawSocket {
 public:
  explicit RawSocket(int port) : fd_(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(static_cast<uint16_t>(port));
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    EXPECT_EQ(::connect(fd_, reinterpret_cast<sockaddr*>(&address), sizeof(address)), 0) << strerror(errno);
  }
  // To the abstract Unix socket.
  explicit RawSocket(const std::string& unix_name) : fd_(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    std::memcpy(address.sun_path + 1, unix_name.data(), unix_name.size());
    const auto size = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + 1 + unix_name.size());
    EXPECT_EQ(::connect(fd_, reinterpret_cast<sockaddr*>(&address), size), 0) << strerror(errno);
  }
  ~RawSocket() { Close(); }
  RawSocket(const RawSocket&) = delete;

  void Close() {
    if (fd_ >= 0) close(std::exchange(fd_, -1));
  }
  // False once the other side has closed.
  bool Write(const void* data, size_t size) {
    return send(fd_, data, size, MSG_NOSIGNAL) == static_cast<ssize_t>(size);
  }

  bool WriteFrame(MessageType type, const Buffer& payload, uint64_t id = 0, const JobToken& token = kToken) {
    const bool numbered = type != MessageType::kHello && type != MessageType::kHeartbeat;
    const std::vector<uint8_t> bytes = Frame(type, payload, id, token, numbered ? ++sequence_ : 0);
    return Write(bytes.data(), bytes.size());
  }
  static std::vector<uint8_t> Frame(MessageType type, const Buffer& payload, uint64_t id = 0,
                                    const JobToken& token = kToken, uint64_t sequence = 0) {
    std::vector<uint8_t> bytes(kFrameHeaderBytes);
    EncodeHeader({.type = type,
                  .payload_bytes = payload.size(),
                  .request_id = id,
                  .timeout_ms = 20000,
                  .payload_crc32c = Crc32c(payload.data(), payload.size()),
                  .sequence = sequence},
                 token, std::span(bytes).first<kFrameHeaderBytes>());
    bytes.insert(bytes.end(), payload.data(), payload.data() + payload.size());
    return bytes;
  }

  // Whether the other side closes within the time; what it sends is dropped.
  bool ClosedWithin(double seconds) {
    const int64_t end_ns = SystemClock().SteadyNanos() + static_cast<int64_t>(seconds * kNanosPerSecond);
    char scratch[4096];
    while (SystemClock().SteadyNanos() < end_ns) {
      pollfd waiting{fd_, POLLIN, 0};
      if (poll(&waiting, 1, 20) <= 0) continue;
      if (recv(fd_, scratch, sizeof(scratch), 0) <= 0) return true;
    }
    return false;
  }

  // The next frame that is no heartbeat; Error with an empty payload when the other side closes or 5 s pass.
  std::pair<MessageType, std::vector<uint8_t>> ReadFrame() {
    while (true) {
      std::array<uint8_t, kFrameHeaderBytes> header_bytes;
      if (!Read(header_bytes.data(), header_bytes.size())) return {MessageType::kError, {}};
      const auto header = DecodeHeader(header_bytes, kToken, 1 << 20);
      EXPECT_TRUE(header.ok()) << header.status().ToString();
      if (!header.ok()) return {MessageType::kError, {}};
      std::vector<uint8_t> payload(header->payload_bytes);
      if (!Read(payload.data(), payload.size())) return {MessageType::kError, {}};
      if (header->type != MessageType::kHeartbeat) return {header->type, payload};
    }
  }

 private:
  bool Read(uint8_t* out, size_t size) {
    const int64_t end_ns = SystemClock().SteadyNanos() + 5 * kNanosPerSecond;
    while (size > 0 && SystemClock().SteadyNanos() < end_ns) {
      pollfd waiting{fd_, POLLIN, 0};
      if (poll(&waiting, 1, 20) <= 0) continue;
      const ssize_t got = recv(fd_, out, size, 0);
      if (got <= 0) return false;
      out += got;
      size -= got;
    }
    return size == 0;
  }

  int fd_;
  uint64_t sequence_ = 0;  // of the last numbered frame
};

inline Hello TestHello(int worker, int num_workers, int server = 0, int num_servers = 1) {
  const auto tables = TestTables();
  return {.worker = static_cast<uint32_t>(worker),
          .num_workers = static_cast<uint32_t>(num_workers),
          .server = static_cast<uint32_t>(server),
          .num_servers = static_cast<uint32_t>(num_servers),
          .virtual_shards = kShards,
          .num_tables = static_cast<uint32_t>(tables.size()),
          .table_digest = TableDigest(tables),
          .host = "raw"};
}

// One step of a worker: pull, push.
inline Status RunStep(EmbeddingStore* store, uint64_t seed, int64_t step, int worker) {
  const auto tables = TestTables();
  StepData data(seed, step, worker, tables);
  WEIR_RETURN_IF_ERROR(store->Pull(step, PullKind::kTraining, data.pulls));
  return store->Push(step, data.pushes);
}

}  // namespace weir::testing
