// wire_bench: what lies between workers and servers. All ends are threads of this process.
//
//   wire_bench                       pulls, bytes of a sample, staleness
//   wire_bench --only=pull|bytes|staleness
//   wire_bench --only=bytes --data=FOLDER    columns label, I1 to I13, C1 to C26
//
// Here are the pulls: 256 KiB of rows by one worker from one server, several in flight, against a bare loop of requests
// and answers of the same sizes on the same kind of socket.
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>

#include <array>
#include <chrono>
#include <cstring>
#include <memory>
#include <numeric>
#include <thread>
#include <vector>

#include <fmt/format.h>
#include <gflags/gflags.h>
#include <glog/logging.h>

#include "base/random.h"
#include "bench/bench_line.h"
#include "bench/wire_bench.h"
#include "param_server/client/remote_store.h"
#include "param_server/connection.h"
#include "param_server/row_messages.h"
#include "param_server/server/server.h"

namespace weir::bench {
namespace {

constexpr int kInFlight = 8;
constexpr int kPulls = 3000;  // of a round
constexpr int64_t kAnswerBytes = 256 << 10;
constexpr JobToken kToken = {1, 2, 3};

int64_t Nanos() { return SystemClock().SteadyNanos(); }

// What a Unix socket of the bare loop holds: the system's 208 KiB would stop it several times in an answer.
constexpr int kUnixSendBytes = 4 << 20;

enum class Kind { kUnix, kTcp };
const char* Name(Kind kind) { return kind == Kind::kUnix ? "unix" : "tcp"; }

// ---- The bare loop

void ReadAll(int socket, void* to, size_t bytes) {
  auto* out = static_cast<char*>(to);
  while (bytes > 0) {
    const ssize_t got = read(socket, out, bytes);
    PCHECK(got > 0);
    out += got;
    bytes -= got;
  }
}

void WriteAll(int socket, const void* from, size_t bytes) {
  const auto* in = static_cast<const char*>(from);
  while (bytes > 0) {
    const ssize_t sent = send(socket, in, bytes, MSG_NOSIGNAL);
    PCHECK(sent > 0);
    in += sent;
    bytes -= sent;
  }
}

// Two connected sockets.
std::array<int, 2> SocketPair(Kind kind) {
  std::array<int, 2> ends{};
  if (kind == Kind::kUnix) {
    PCHECK(socketpair(AF_UNIX, SOCK_STREAM, 0, ends.data()) == 0);
    for (const int end : ends) PCHECK(setsockopt(end, SOL_SOCKET, SO_SNDBUF, &kUnixSendBytes, sizeof(int)) == 0);
    return ends;
  }
  const int listener = socket(AF_INET, SOCK_STREAM, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof(address);
  PCHECK(bind(listener, reinterpret_cast<sockaddr*>(&address), size) == 0);
  PCHECK(listen(listener, 1) == 0);
  PCHECK(getsockname(listener, reinterpret_cast<sockaddr*>(&address), &size) == 0);
  ends[0] = socket(AF_INET, SOCK_STREAM, 0);
  PCHECK(connect(ends[0], reinterpret_cast<sockaddr*>(&address), size) == 0);
  ends[1] = accept(listener, nullptr, nullptr);
  PCHECK(ends[1] >= 0);
  close(listener);
  const int one = 1;
  for (const int end : ends) PCHECK(setsockopt(end, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one)) == 0);
  return ends;
}

// Nanoseconds of a request and its answer, which lies ready and is read to where it stays.
double BareLoop(Kind kind, size_t request_bytes) {
  const std::array<int, 2> ends = SocketPair(kind);
  std::thread answers([&] {
    std::vector<char> request(request_bytes), answer(kFrameHeaderBytes + kAnswerBytes, 1);
    for (int i = 0; i < kPulls; ++i) {
      ReadAll(ends[1], request.data(), request.size());
      WriteAll(ends[1], answer.data(), answer.size());
    }
  });
  const std::vector<char> request(request_bytes, 1);
  std::vector<std::vector<char>> answers_read(kInFlight, std::vector<char>(kFrameHeaderBytes + kAnswerBytes));
  const int64_t begin_ns = Nanos();
  for (int i = 0; i < kPulls + kInFlight; ++i) {
    if (i >= kInFlight) ReadAll(ends[0], answers_read[i % kInFlight].data(), kFrameHeaderBytes + kAnswerBytes);
    if (i < kPulls) WriteAll(ends[0], request.data(), request.size());
  }
  const double ns = static_cast<double>(Nanos() - begin_ns) / kPulls;
  answers.join();
  for (const int end : ends) close(end);
  return ns;
}

// ---- Pulls

struct PullCase {
  const char* name;
  int dim;
  int64_t rows;  // of the table
};

class Pulls {
 public:
  Pulls(const PullCase& shape, Kind kind) : shape_(shape), num_keys_(kAnswerBytes / 4 / shape.dim) {
    TableSpec table;
    table.name = std::string("rows");
    table.optimizer.mutable_sgd();
    table.initializer.mutable_constant()->set_value(0.5);
    table.layout = MakeRowLayout(shape.dim, table.optimizer);
    ServerOptions server;
    server.token = kToken;
    server.tables = {table};
    auto started = Server::Start(std::move(server));
    CHECK(started.ok()) << started.status().ToString();
    server_ = std::move(*started);
    RemoteStoreOptions options;
    options.servers = {server_->address()};
    if (kind == Kind::kTcp) options.servers[0].unix_name.clear();
    options.token = kToken;
    options.tables = {table};
    auto store = RemoteStore::Connect(std::move(options));
    CHECK(store.ok()) << store.status().ToString();
    store_ = std::move(*store);
    Fill();
  }
  ~Pulls() {
    CHECK(store_->Shutdown().ok());
    store_.reset();
  }

  size_t request_bytes() const { return kFrameHeaderBytes + 32 + num_keys_ * sizeof(uint64_t); }

  double Round() {
    std::vector<std::vector<float>> rows(kInFlight, std::vector<float>(kAnswerBytes / 4));
    std::vector<std::vector<uint64_t>> keys(kInFlight, std::vector<uint64_t>(num_keys_));
    std::array<PullTicket, kInFlight> tickets{};
    const int64_t begin_ns = Nanos();
    for (int i = 0; i < kPulls + kInFlight; ++i) {
      const int slot = i % kInFlight;
      if (i >= kInFlight) Must(store_->FinishPull(tickets[slot]));
      if (i >= kPulls) continue;
      for (uint64_t& key : keys[slot]) key = Key(drawn_++ * 0x9E3779B97F4A7C15u % shape_.rows);
      const TablePull pull = {0, keys[slot], rows[slot].data()};
      auto ticket = store_->StartPull(step_, PullKind::kEvaluation, std::span(&pull, 1));
      Must(ticket.status());
      tickets[slot] = *ticket;
    }
    return static_cast<double>(Nanos() - begin_ns) / kPulls;
  }

 private:
  static uint64_t Key(uint64_t i) { return SplitMix64(i); }

  void Fill() {
    constexpr int64_t kBatch = 65536;
    std::vector<float> gradients(kBatch * shape_.dim);
    std::vector<uint64_t> keys;
    for (int64_t begin = 0; begin < shape_.rows; begin += kBatch) {
      keys.clear();
      for (int64_t i = begin; i < std::min(begin + kBatch, shape_.rows); ++i) keys.push_back(Key(i));
      const TablePush push = {0, keys, gradients.data()};
      Must(store_->Push(step_++, std::span(&push, 1)));
    }
    Must(store_->Drain(step_ - 1));
  }

  const PullCase shape_;
  const size_t num_keys_;
  int64_t step_ = 1;
  uint64_t drawn_ = 0;
  std::unique_ptr<Server> server_;
  std::unique_ptr<RemoteStore> store_;
};

void Run(const PullCase& shape, Kind kind, bool has_target) {
  Pulls pulls(shape, kind);
  pulls.Round();
  Rounds ours, bare;
  for (int round = 0; round < kRounds; ++round) {
    ours.Add(pulls.Round());
    bare.Add(BareLoop(kind, pulls.request_bytes()));
  }
  PrintLine("pull", fmt::format("{}_{}", Name(kind), shape.name), "ns/pull", ours, has_target ? "socket" : "",
            has_target ? &bare : nullptr);
}

}  // namespace

void PullBench() {
  // Rows of 1 KiB that stay in the cache, and of dim 16 over 1 GiB.
  const PullCase ready = {"ready_rows", 256, 1024};
  const PullCase table = {"table_1GiB", 16, 12'000'000};
  for (const Kind kind : {Kind::kUnix, Kind::kTcp}) Run(ready, kind, /*has_target=*/true);
  Run(table, Kind::kUnix, /*has_target=*/false);
}

}  // namespace weir::bench

DEFINE_string(only, "", "one bench: pull, bytes or staleness");
DEFINE_string(data, "", "for bytes: what data.train.uri takes; empty: made up");

int main(int argc, char** argv) {
  google::InitGoogleLogging(argv[0]);
  gflags::SetUsageMessage("times and counts what goes between workers and servers");
  gflags::ParseCommandLineFlags(&argc, &argv, true);
  const auto wanted = [](const char* name) { return FLAGS_only.empty() || FLAGS_only == name; };
  if (wanted("pull")) weir::bench::PullBench();
  if (wanted("bytes")) weir::bench::BytesBench(FLAGS_data);
  if (wanted("staleness")) weir::bench::StalenessBench();
  return 0;
}
