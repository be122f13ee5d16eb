// Connections that break under a running job, over real sockets: a relay between workers and servers cuts them. What
// the rules are is simulation_test's; this is about sockets and threads.
#include <thread>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/param_server/cluster.h"
#include "tests/param_server/cutting_relay.h"

namespace weir::testing {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;

// 2 workers and 2 servers; the way of worker 1 to both is cut after so many bytes.
SavedRows TrainThrough(int64_t bytes_max, int* connections) {
  constexpr int64_t kSteps = 60;
  MemoryRowFiles files;
  Cluster cluster(2, 2, &files, /*silence_s=*/20);
  CuttingRelay relays[] = {{cluster.address(0).port, bytes_max}, {cluster.address(1).port, bytes_max}};
  const auto work = [&](int worker) {
    RemoteStoreOptions options = cluster.StoreOptions(worker);
    if (worker == 1) options.servers = {Through(relays[0]), Through(relays[1])};
    auto store = RemoteStore::Connect(options);
    EXPECT_TRUE(store.ok()) << store.status().ToString();
    if (!store.ok()) return std::unique_ptr<RemoteStore>();
    for (int64_t step = 1; step <= kSteps; ++step) {
      const Status status = RunStep(store->get(), 5, step, worker);
      EXPECT_TRUE(status.ok()) << status.ToString();
      if (!status.ok()) break;
    }
    const Status drained = (*store)->Drain(kSteps);
    EXPECT_TRUE(drained.ok()) << drained.ToString();
    return std::move(*store);
  };
  std::unique_ptr<RemoteStore> stores[2];
  std::thread other([&] { stores[1] = work(1); });
  stores[0] = work(0);
  other.join();
  if (!stores[0] || !stores[1]) return {};
  EXPECT_TRUE(stores[1]->Save(kSteps, "end").ok());
  EXPECT_TRUE(stores[1]->Stats().ok());
  EXPECT_TRUE(stores[0]->Shutdown().ok());
  *connections = relays[0].connections() + relays[1].connections();
  return files.Rows("end");
}

TEST(ReconnectTest, ConnectionsThatBreakAtAnyByteChangeNoBit) {
  int connections = 0;
  const SavedRows undisturbed = TrainThrough(0, &connections);
  EXPECT_EQ(connections, 2);
  EXPECT_GT(undisturbed.size(), 200u);
  for (const int64_t bytes_max : {3001, 9973}) {
    SCOPED_TRACE(bytes_max);
    EXPECT_EQ(TrainThrough(bytes_max, &connections), undisturbed);
    EXPECT_GT(connections, 10);
  }
}

// The only worker of a job, whose way to the server is the relay, after its first step.
std::unique_ptr<RemoteStore> TrainFirstStep(const Cluster& cluster, const CuttingRelay& relay) {
  RemoteStoreOptions options = cluster.StoreOptions(0);
  options.servers = {Through(relay)};
  auto store = RemoteStore::Connect(options);
  EXPECT_TRUE(store.ok()) << store.status().ToString();
  if (!store.ok()) return nullptr;
  EXPECT_TRUE(RunStep(store->get(), 5, 1, 0).ok());
  return std::move(*store);
}

TEST(ReconnectTest, AStalledConnectionIsGivenUpForAnother) {
  Cluster cluster(1, 1, nullptr, /*silence_s=*/2);
  CuttingRelay stalled(cluster.address(0).port, 0);
  const auto store = TrainFirstStep(cluster, stalled);
  ASSERT_TRUE(store);
  stalled.Hold(true);
  std::thread release([&] {
    SystemClock().SleepNanos(1300 * kNanosPerMilli);
    stalled.Hold(false);
  });
  for (int64_t step = 2; step <= 5; ++step) {
    const Status status = RunStep(store.get(), 5, step, 0);
    EXPECT_TRUE(status.ok()) << status.ToString();
  }
  release.join();
  EXPECT_GE(stalled.connections(), 2);
  EXPECT_TRUE(store->Drain(5).ok());
  EXPECT_TRUE(store->Shutdown().ok());
}

TEST(ReconnectTest, AWayThatIsCutForGoodEndsTheJobOnBothSidesByName) {
  Cluster cluster(1, 1, nullptr, /*silence_s=*/2);
  CuttingRelay relay(cluster.address(0).port, 0);
  const auto store = TrainFirstStep(cluster, relay);
  ASSERT_TRUE(store);
  ASSERT_TRUE(store->Drain(1).ok());
  relay.CutForGood();
  const int64_t start_ns = SystemClock().SteadyNanos();
  const Status status = store->Drain(2);
  EXPECT_EQ(status.code(), StatusCode::kUnavailable);
  EXPECT_THAT(status.message(), AllOf(HasSubstr(fmt::format("server 0 (127.0.0.1:{})", relay.port())),
                                      HasSubstr("nothing heard for"), HasSubstr("at step 1")));
  const Status ended = cluster.server(0).Wait();
  EXPECT_EQ(ended.code(), StatusCode::kUnavailable);
  EXPECT_THAT(ended.message(),
              AllOf(HasSubstr("worker 0 on host"), HasSubstr("at step 1"), HasSubstr("nothing heard")));
  EXPECT_LT(SystemClock().SteadyNanos() - start_ns, 20 * kNanosPerSecond);
}

// A process that was started anew has lost its state; one whose older connection comes late is the same.
TEST(ReconnectTest, OnlyTheNewestConnectionOfTheSameSessionIsServed) {
  Cluster cluster(1, 1, nullptr);
  const auto hello = [](uint64_t session, uint32_t epoch, uint64_t received = 0) {
    Hello message = TestHello(0, 1);
    message.session = session;
    message.epoch = epoch;
    message.received = received;
    return EncodeHello(message);
  };
  const int port = cluster.address(0).port;
  RawSocket first(port), second(port), late(port), stranger(port);
  ASSERT_TRUE(first.WriteFrame(MessageType::kHello, hello(7, 2)));
  ASSERT_EQ(first.ReadFrame().first, MessageType::kWelcome);
  ASSERT_TRUE(second.WriteFrame(MessageType::kHello, hello(7, 3)));
  ASSERT_EQ(second.ReadFrame().first, MessageType::kWelcome);
  EXPECT_TRUE(first.ClosedWithin(2)) << "the older one";
  const auto refusal = [](RawSocket* socket) {
    const auto [type, payload] = socket->ReadFrame();
    EXPECT_EQ(type, MessageType::kError);
    Status error;
    EXPECT_TRUE(DecodeError(payload, &error).ok());
    return error.message();
  };
  ASSERT_TRUE(late.WriteFrame(MessageType::kHello, hello(7, 2)));
  EXPECT_THAT(refusal(&late), HasSubstr("has connection 3 already, and this is its 2"));
  ASSERT_TRUE(stranger.WriteFrame(MessageType::kHello, hello(8, 1)));
  EXPECT_THAT(refusal(&stranger), HasSubstr("connected already"));
  ASSERT_TRUE(second.WriteFrame(MessageType::kStats, {}, 5));
  EXPECT_EQ(second.ReadFrame().first, MessageType::kStatsReply) << "the newest goes on";
}

TEST(ReconnectTest, ASessionThatIsNotKnownCannotGoOn) {
  Cluster cluster(1, 1, nullptr);
  RawSocket socket(cluster.address(0).port);
  Hello hello = TestHello(0, 1);
  hello.session = 7;
  hello.epoch = 4;
  hello.received = 12;
  ASSERT_TRUE(socket.WriteFrame(MessageType::kHello, EncodeHello(hello)));
  const auto [type, payload] = socket.ReadFrame();
  ASSERT_EQ(type, MessageType::kError);
  Status error;
  ASSERT_TRUE(DecodeError(payload, &error).ok());
  EXPECT_EQ(error.code(), StatusCode::kFailedPrecondition);
  EXPECT_THAT(error.message(), HasSubstr("was given up"));
}

}  // namespace
}  // namespace weir::testing
