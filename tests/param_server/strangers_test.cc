// What comes to a server's port from outside the job, and what comes wrong from inside.
#include <thread>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/param_server/cluster.h"
#include "tests/param_server/one_worker_job.h"

namespace weir::testing {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;

class StrangersTest : public OneWorkerJobTest {
 protected:
  StrangersTest() : cluster_(1, 1, &files_) { Begin(cluster_); }
  ~StrangersTest() override { End(&cluster_); }
  int port() const { return cluster_.address(0).port; }

  MemoryRowFiles files_;
  Cluster cluster_;
};

TEST_F(StrangersTest, GarbageIsDropped) {
  RawSocket socket(port());
  const std::string garbage = "GET / HTTP/1.1\r\nHost: weir.example\r\nUser-Agent: a browser gone astray\r\n\r\n";
  EXPECT_TRUE(socket.Write(garbage.data(), garbage.size()));
  EXPECT_TRUE(socket.ClosedWithin(2));
}

TEST_F(StrangersTest, AStrangerWithoutTheTokenIsDropped) {
  RawSocket socket(port());
  JobToken wrong = kToken;
  wrong[0] ^= 0x80;
  EXPECT_TRUE(socket.WriteFrame(MessageType::kHello, EncodeHello(TestHello(0, 1)), 0, wrong));
  EXPECT_TRUE(socket.ClosedWithin(2));
}

TEST_F(StrangersTest, AnotherVersionIsDropped) {
  RawSocket socket(port());
  auto frame = RawSocket::Frame(MessageType::kHello, EncodeHello(TestHello(0, 1)));
  frame[4] = 99;
  EXPECT_TRUE(socket.Write(frame.data(), frame.size()));
  EXPECT_TRUE(socket.ClosedWithin(2));
}

TEST_F(StrangersTest, AnOversizeFrameIsDroppedBeforeItComes) {
  RawSocket socket(port());
  std::array<uint8_t, kFrameHeaderBytes> header;
  EncodeHeader({.type = MessageType::kHello, .payload_bytes = uint64_t{1} << 40}, kToken, header);
  EXPECT_TRUE(socket.Write(header.data(), header.size()));
  EXPECT_TRUE(socket.ClosedWithin(2));
}

TEST_F(StrangersTest, ADamagedPayloadIsDropped) {
  RawSocket socket(port());
  auto frame = RawSocket::Frame(MessageType::kHello, EncodeHello(TestHello(0, 1)));
  frame.back() ^= 1;
  EXPECT_TRUE(socket.Write(frame.data(), frame.size()));
  EXPECT_TRUE(socket.ClosedWithin(2));
}

TEST_F(StrangersTest, ATruncatedFrameThenAClose) {
  RawSocket socket(port());
  const auto frame = RawSocket::Frame(MessageType::kHello, EncodeHello(TestHello(0, 1)));
  EXPECT_TRUE(socket.Write(frame.data(), frame.size() - 5));
  socket.Close();
}

TEST_F(StrangersTest, ARequestBeforeTheHandshakeIsDropped) {
  RawSocket socket(port());
  EXPECT_TRUE(socket.WriteFrame(MessageType::kShutdown, {}, 1));
  EXPECT_TRUE(socket.ClosedWithin(2));
}

#if !defined(__SANITIZE_THREAD__)  // where Unix sockets carry frames
// Within the machine the socket carries bells alone.
TEST_F(StrangersTest, GarbageOnTheUnixSocketIsDropped) {
  RawSocket socket(cluster_.address(0).unix_name);
  const auto frame = RawSocket::Frame(MessageType::kHello, EncodeHello(TestHello(0, 1)));
  EXPECT_TRUE(socket.Write(frame.data(), frame.size()));
  EXPECT_TRUE(socket.ClosedWithin(2));
}

TEST_F(StrangersTest, WhoRingsWithoutEndDoesNotHoldUpTheServer) {
  RawSocket socket(cluster_.address(0).unix_name);
  std::atomic<bool> enough = false;
  std::thread ringing([&] {
    const std::string bells(64 << 10, '!');
    while (!enough && socket.Write(bells.data(), bells.size())) {
    }
  });
  RunSteps(20);
  enough = true;
  ringing.join();
}
#endif

TEST_F(StrangersTest, ManyIdleConnectionsAreBoundedAndTheNextWorkerGetsIn) {
  const auto idle = Crowd(port());
  // The worker leaves and comes again, by TCP, through the crowd.
  ASSERT_TRUE(store_->Drain(step_).ok());
  store_.reset();
  RemoteStoreOptions options = cluster_.StoreOptions(0);
  options.servers[0].unix_name.clear();
  auto store = RemoteStore::Connect(options);
  ASSERT_TRUE(store.ok()) << store.status().ToString();
  store_ = std::move(*store);
}

TEST_F(StrangersTest, AnotherJobsTablesAreRefusedWithBothValues) {
  RemoteStoreOptions options = cluster_.StoreOptions(0);
  options.tables[1].seed = 1;
  const auto other_tables = RemoteStore::Connect(options);
  EXPECT_EQ(other_tables.status().code(), StatusCode::kFailedPrecondition);
  EXPECT_THAT(other_tables.status().message(), HasSubstr("digest of tables"));
  options = cluster_.StoreOptions(0);
  options.virtual_shards = 64;
  EXPECT_THAT(
      RemoteStore::Connect(options).status().message(),
      AllOf(HasSubstr("cluster.virtual_shards: expected 16, found 64"), HasSubstr("worker 0 joining server 0")));
  options = cluster_.StoreOptions(0);
  options.num_workers = 5;
  options.worker = 4;
  EXPECT_THAT(RemoteStore::Connect(options).status().message(), HasSubstr("workers: expected 1, found 5"));
}

TEST_F(StrangersTest, AWorkerThatIsThereAlreadyIsRefused) {
  const auto twin = RemoteStore::Connect(cluster_.StoreOptions(0));
  EXPECT_EQ(twin.status().code(), StatusCode::kAlreadyExists);
  EXPECT_THAT(twin.status().message(), HasSubstr("connected already"));
}

TEST(HandshakeTest, AStrangerThatDripsBytesIsDropped) {
  MemoryRowFiles files;
  Cluster cluster(1, 1, &files, /*silence_s=*/1);
  auto store = cluster.Connect(0);
  ASSERT_TRUE(store);
  RawSocket socket(cluster.address(0).port);
  const auto frame = RawSocket::Frame(MessageType::kHello, EncodeHello(TestHello(0, 1)));
  bool closed = false;
  for (size_t i = 0; i < 30 && !closed; ++i) {
    closed = !socket.Write(&frame[i], 1) || socket.ClosedWithin(0.1);
  }
  EXPECT_TRUE(closed);
  EXPECT_TRUE(RunStep(store.get(), 5, 1, 0).ok());
}

TEST(HandshakeTest, AWorkerWithTheWrongTokenIsToldThatTheServerClosed) {
  MemoryRowFiles files;
  Cluster cluster(1, 1, &files);
  RemoteStoreOptions options = cluster.StoreOptions(0);
  options.token[3] ^= 1;
  const auto store = RemoteStore::Connect(options);
  EXPECT_EQ(store.status().code(), StatusCode::kUnavailable);
  EXPECT_THAT(store.status().message(), HasSubstr("server 0 (127.0.0.1:"));
}

TEST(HandshakeTest, APortThatIsTakenIsNamedWithItsSetting) {
  MemoryRowFiles files;
  Cluster cluster(1, 1, &files);
  ServerOptions options = TestServerOptions(0, 1, 1, &files);
  options.port = cluster.address(0).port;
  const auto second = Server::Start(options);
  EXPECT_EQ(second.status().code(), StatusCode::kAlreadyExists);
  EXPECT_THAT(second.status().message(),
              AllOf(HasSubstr(fmt::format("127.0.0.1:{}", options.port)), HasSubstr("cluster.base_port")));
  options.port = 0;
  options.bind_address = "192.0.2.1";  // an address of the documentation, never ours
  EXPECT_THAT(Server::Start(options).status().message(), HasSubstr("cluster.bind_address"));
}

TEST(HandshakeTest, NobodyListens) {
  ServerAddress gone;
  {
    MemoryRowFiles files;
    Cluster cluster(1, 1, &files);
    gone = cluster.address(0);
  }
  const auto store = RemoteStore::Connect(TestStoreOptions(0, 1, {gone}));
  EXPECT_EQ(store.status().code(), StatusCode::kUnavailable);
  EXPECT_THAT(store.status().message(), HasSubstr(gone.HostPort()));
}

// A worker that a test plays byte by byte.
class RawWorker {
 public:
  RawWorker(const Cluster& cluster, int worker, int num_workers) : socket_(cluster.address(0).port), worker_(worker) {
    EXPECT_TRUE(socket_.WriteFrame(MessageType::kHello, EncodeHello(TestHello(worker, num_workers))));
    EXPECT_EQ(socket_.ReadFrame().first, MessageType::kWelcome);
  }
  bool Push(int64_t step, uint64_t sequence, const StepData& data) {
    std::vector<TableCount> counts;
    for (const TablePush& push : data.pushes) counts.push_back({push.table, push.keys.size()});
    const std::vector<TableFormat> formats = TableFormats(TestTables());
    KeyedBuffer filled = EncodePush(
        {.step = step, .sequence = sequence, .unix_ms = 0, .worker = static_cast<uint32_t>(worker_), .tables = {}},
        counts, formats);
    for (const TablePush& push : data.pushes) {
      filled.keys = std::copy(push.keys.begin(), push.keys.end(), filled.keys);
      const size_t bytes = push.keys.size() * formats[push.table].dim * sizeof(float);
      if (bytes > 0) std::memcpy(filled.values, push.gradients, bytes);
      filled.values += bytes;
    }
    return socket_.WriteFrame(MessageType::kPush, filled.payload);
  }
  RawSocket& socket() { return socket_; }

 private:
  RawSocket socket_;
  const int worker_;
};

TEST(ExactlyOnceTest, APushSentTwiceIsAppliedOnce) {
  MemoryRowFiles files;
  SavedRows rows[2];
  for (const bool twice : {false, true}) {
    Cluster cluster(1, 2, &files);
    auto store = cluster.Connect(0);
    RawWorker raw(cluster, 1, 2);
    for (int64_t step = 1; step <= 10; ++step) {
      StepData data(5, step, 1, TestTables());
      ASSERT_TRUE(raw.Push(step, step, data));
      // At once, and long after the step was applied.
      ASSERT_TRUE(!twice || raw.Push(step, step, data));
      if (twice && step > 3) {
        StepData old(5, step - 3, 1, TestTables());
        ASSERT_TRUE(raw.Push(step - 3, step - 3, old));
      }
      const Status status = RunStep(store.get(), 5, step, 0);
      ASSERT_TRUE(status.ok()) << status.ToString();
    }
    ASSERT_TRUE(store->Drain(10).ok());
    ASSERT_TRUE(store->Save(10, fmt::format("{}", twice)).ok());
    rows[twice] = files.Rows(fmt::format("{}", twice));
  }
  EXPECT_GT(rows[0].size(), 50u);
  EXPECT_EQ(rows[0], rows[1]);
}

struct BadFrame {
  const char* name;
  MessageType type;
  Buffer payload;
  const char* reason;
};

// From inside the job nothing may be wrong: it ends the job, and both sides learn why.
TEST(BadWorkerTest, EndsTheJobWithItsNameAndTheReason) {
  const std::vector<TableFormat> formats = TableFormats(TestTables());
  const auto pull_of = [&](uint64_t key) {
    const TableCount count[] = {{0, 1}};
    KeyedBuffer filled = EncodePull(1, PullKind::kTraining, count);
    *filled.keys = key;
    return std::move(filled.payload);
  };
  const auto push_of = [&](int64_t step, uint64_t sequence, uint32_t worker) {
    return EncodePush({.step = step, .sequence = sequence, .unix_ms = 0, .worker = worker, .tables = {}}, {}, formats)
        .payload;
  };
  std::vector<BadFrame> frames;
  frames.push_back({"torn pull", MessageType::kPull, EncodeStep(1), "cut short"});
  frames.push_back({"server's message", MessageType::kRows, {}, "a worker sent a Rows frame"});
  frames.push_back({"sequence gap", MessageType::kPush, push_of(1, 7, 1), "expected sequence number 1, found 7"});
  frames.push_back({"step gap", MessageType::kPush, push_of(3, 1, 1), "expected step 1, found step 3"});
  frames.push_back({"other's push", MessageType::kPush, push_of(1, 1, 0), "worker 1 pushes as worker 0"});
  frames.push_back({"shutdown", MessageType::kShutdown, {}, "only worker 0"});
  for (uint64_t key = 0;; ++key) {
    if (VirtualShard(key, kShards) < kShards / 2) continue;
    frames.push_back({"foreign key", MessageType::kPull, pull_of(key), "this server owns [0, 8)"});
    break;
  }
  for (const BadFrame& frame : frames) {
    SCOPED_TRACE(frame.name);
    MemoryRowFiles files;
    const int num_servers = std::string_view(frame.name) == "foreign key" ? 2 : 1;
    Cluster cluster(num_servers, 2, &files);
    RawSocket socket(cluster.address(0).port);
    ASSERT_TRUE(socket.WriteFrame(MessageType::kHello, EncodeHello(TestHello(1, 2, 0, num_servers))));
    ASSERT_EQ(socket.ReadFrame().first, MessageType::kWelcome);
    ASSERT_TRUE(socket.WriteFrame(frame.type, frame.payload, 1));
    const auto [type, payload] = socket.ReadFrame();
    ASSERT_EQ(type, MessageType::kError);
    Status error;
    ASSERT_TRUE(DecodeError(payload, &error).ok());
    EXPECT_THAT(error.message(), HasSubstr(frame.reason));
    // A refused push is the worker's to end the job with; all else ends it here.
    socket.WriteFrame(MessageType::kError, EncodeError(error));
    const Status ended = cluster.server(0).Wait();
    EXPECT_THAT(ended.message(), AllOf(HasSubstr("worker 1 on host raw"), HasSubstr(frame.reason)));
  }
}

}  // namespace
}  // namespace weir::testing
