// Peers that die, freeze or lag: noticed in time, and named. Deaths are real: processes killed and stopped by signals.
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>

#include <atomic>
#include <functional>
#include <future>
#include <thread>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/param_server/cluster.h"

namespace weir::testing {
namespace {

using ::testing::AllOf;
using ::testing::AnyOf;
using ::testing::HasSubstr;

// Where the wait for it is what is tested. Many times as long as a machine under load keeps a thread waiting.
constexpr double kSilence = 2;
constexpr double kSilenceNoticedMax = 5 * kSilence;
// Where it must play no part: what is noticed at once comes long before, however loaded the machine is.
constexpr double kLongSilence = 30;
constexpr double kAtOnceMax = 15;

double SecondsSince(int64_t start_ns) {
  return static_cast<double>(SystemClock().SteadyNanos() - start_ns) / kNanosPerSecond;
}

// A process of its own; forked before the test starts any thread. Killed at the end.
class Child {
 public:
  // `body` runs in the child; it gets the ends of two pipes: what it writes to, and what it reads from.
  explicit Child(const std::function<void(int out, int in)>& body) {
    int up[2];
    int down[2];
    CHECK_EQ(pipe(up), 0);
    CHECK_EQ(pipe(down), 0);
    pid_ = fork();
    CHECK_GE(pid_, 0);
    if (pid_ == 0) {
      prctl(PR_SET_PDEATHSIG, SIGKILL);
      close(up[0]);
      close(down[1]);
      body(up[1], down[0]);
      _exit(0);
    }
    close(up[1]);
    close(down[0]);
    in_ = up[0];
    out_ = down[1];
  }
  ~Child() {
    if (pid_ > 0) {
      kill(pid_, SIGKILL);
      waitpid(pid_, nullptr, 0);
    }
    close(in_);
    close(out_);
  }
  // Returns once the signal has had its effect on all threads.
  void Signal(int signal) {
    kill(pid_, signal);
    waitpid(pid_, nullptr, WUNTRACED);
    if (signal == SIGKILL) pid_ = -1;
  }
  void Send(const std::string& line) { WriteLine(out_, line); }
  std::string Receive() { return ReadLine(in_); }

  static void WriteLine(int fd, const std::string& line) {
    const std::string text = line + "\n";
    CHECK_EQ(write(fd, text.data(), text.size()), static_cast<ssize_t>(text.size()));
  }
  static std::string ReadLine(int fd) {
    std::string line;
    char c;
    while (read(fd, &c, 1) == 1 && c != '\n') line += c;
    return line;
  }

 private:
  pid_t pid_ = -1;
  int in_ = -1;
  int out_ = -1;
};

// Serves as server `index` of `num_servers`, for one worker.
Child ServerProcess(int index, int num_servers, int num_workers, double silence_s) {
  return Child([=](int out, int in) {
    auto server = Server::Start(TestServerOptions(index, num_servers, num_workers, nullptr, silence_s));
    CHECK(server.ok());
    Child::WriteLine(out, (*server)->address().ToString());
    Child::ReadLine(in);
  });
}

// Trains as worker 1 of 2 on the servers whose addresses it is told, until it is killed; says "ready" after step 3.
Child WorkerProcess(int num_servers, double silence_s) {
  return Child([=](int out, int in) {
    std::vector<ServerAddress> servers;
    for (int i = 0; i < num_servers; ++i) servers.push_back(*ServerAddress::FromString(Child::ReadLine(in)));
    auto store = RemoteStore::Connect(TestStoreOptions(1, 2, servers, silence_s));
    CHECK(store.ok()) << store.status().ToString();
    for (int64_t step = 1; step <= 3; ++step) CHECK(RunStep(store->get(), 5, step, 1).ok());
    Child::WriteLine(out, "ready");
    Child::ReadLine(in);
  });
}

void ServerDies(int signal, double silence_s, double seconds_max, const char* words) {
  Child child = ServerProcess(1, 2, 1, silence_s);
  auto other = Server::Start(TestServerOptions(0, 2, 1, nullptr, silence_s));
  ASSERT_TRUE(other.ok());
  const ServerAddress address = *ServerAddress::FromString(child.Receive());
  RemoteStoreOptions options = TestStoreOptions(0, 1, {(*other)->address(), address}, silence_s);
  std::promise<Status> told;
  options.on_failure = [&told](const Status& reason) { told.set_value(reason); };
  auto store = RemoteStore::Connect(options);
  ASSERT_TRUE(store.ok()) << store.status().ToString();
  for (int64_t step = 1; step <= 7; ++step) ASSERT_TRUE(RunStep(store->get(), 5, step, 0).ok());
  ASSERT_TRUE((*store)->Drain(7).ok());
  child.Signal(signal);
  const int64_t start_ns = SystemClock().SteadyNanos();
  const Status status = RunStep(store->get(), 5, 8, 0);
  EXPECT_EQ(status.code(), StatusCode::kUnavailable);
  EXPECT_LT(SecondsSince(start_ns), seconds_max);
  const std::string name = fmt::format("server 1 ({})", address.HostPort());
  EXPECT_THAT(status.message(),
              AllOf(HasSubstr(name), HasSubstr(words), AnyOf(HasSubstr("at step 7"), HasSubstr("at step 8"))));
  EXPECT_EQ(told.get_future().get().message(), status.message());
  // The other server learns the cause, not only that the worker is gone.
  EXPECT_THAT((*other)->Wait().message(), AllOf(HasSubstr("worker 0 on host"), HasSubstr(name)));
}

TEST(PeerDeathTest, AKilledServerIsNoticedAtOnce) {
  ServerDies(SIGKILL, kLongSilence, kAtOnceMax, "closed the connection");
}

TEST(PeerDeathTest, AFrozenServerIsNoticedWithinSilence) {
  ServerDies(SIGSTOP, kSilence, kSilenceNoticedMax, "nothing heard for");
}

void WorkerDies(int signal, double silence_s, double seconds_max, const char* words) {
  Child child = WorkerProcess(2, silence_s);
  Cluster cluster(2, 2, nullptr, silence_s);
  for (int i = 0; i < 2; ++i) child.Send(cluster.address(i).ToString());
  auto store = cluster.Connect(0);
  ASSERT_TRUE(store);
  for (int64_t step = 1; step <= 3; ++step) ASSERT_TRUE(RunStep(store.get(), 5, step, 0).ok());
  ASSERT_EQ(child.Receive(), "ready");
  ASSERT_TRUE(store->Drain(3).ok());
  child.Signal(signal);
  const int64_t start_ns = SystemClock().SteadyNanos();
  Status status = RunStep(store.get(), 5, 4, 0);
  if (status.ok()) status = store->Drain(4);
  EXPECT_EQ(status.code(), StatusCode::kUnavailable);
  EXPECT_LT(SecondsSince(start_ns), seconds_max);
  const auto named = AllOf(HasSubstr("worker 1 on host"), HasSubstr(words), HasSubstr("at step 3"));
  EXPECT_THAT(status.message(), named);
  for (int i = 0; i < 2; ++i) {
    const Status ended = cluster.server(i).Wait();
    EXPECT_EQ(ended.code(), StatusCode::kUnavailable);
    EXPECT_THAT(ended.message(), named) << "server " << i;
  }
}

TEST(PeerDeathTest, AKilledWorkerIsNoticedAtOnce) {
  WorkerDies(SIGKILL, kLongSilence, kAtOnceMax, "closed the connection");
}

TEST(PeerDeathTest, AFrozenWorkerIsNoticedWithinSilence) {
  WorkerDies(SIGSTOP, kSilence, kSilenceNoticedMax, "nothing heard for");
}

TEST(PeerDeathTest, AWorkerWithoutHeartbeatsIsSilent) {
  Cluster cluster(1, 1, nullptr, kSilence);
  RawSocket socket(cluster.address(0).port);
  ASSERT_TRUE(socket.WriteFrame(MessageType::kHello, EncodeHello(TestHello(0, 1))));
  const int64_t start_ns = SystemClock().SteadyNanos();
  const Status status = cluster.server(0).Wait();
  EXPECT_GT(SecondsSince(start_ns), kSilence * 0.9);
  EXPECT_LT(SecondsSince(start_ns), kSilenceNoticedMax);
  EXPECT_EQ(status.code(), StatusCode::kUnavailable);
  EXPECT_THAT(status.message(), AllOf(HasSubstr("worker 0 on host raw"), HasSubstr("nothing heard")));
}

TEST(PeerDeathTest, AColocatedWorkerLearnsOfTheDeathOfAnother) {
  Cluster cluster(0, 2, nullptr, kLongSilence);
  auto first = cluster.Connect(0);
  auto second = cluster.Connect(1);
  ASSERT_TRUE(first && second);
  std::thread thread([&] { EXPECT_TRUE(RunStep(second.get(), 5, 1, 1).ok()); });
  EXPECT_TRUE(RunStep(first.get(), 5, 1, 0).ok());
  thread.join();
  second->Abort(Internal("the loader of worker 1 broke"));
  const Status status = first->Drain(2);
  EXPECT_THAT(status.message(), HasSubstr("the loader of worker 1 broke"));
  for (int i = 0; i < 2; ++i) EXPECT_THAT(cluster.server(i).Wait().message(), HasSubstr("loader of worker 1"));
}

TEST(PeerDeathTest, AStoppedServerIsNoticedByItsOwnWorkerToo) {
  Cluster cluster(0, 2, nullptr, kLongSilence);
  auto first = cluster.Connect(0);
  auto second = cluster.Connect(1);
  ASSERT_TRUE(first && second);
  cluster.server(1).Stop();
  EXPECT_EQ(first->Drain(1).code(), StatusCode::kUnavailable);
  EXPECT_FALSE(second->Drain(1).ok());
}

TEST(PeerDeathTest, AWorkerThatLagsIsNamedWhenAPullRunsOutOfTime) {
  ServerOptions options = TestServerOptions(0, 1, 2, nullptr, kLongSilence);
  options.progress_ns = 3 * kNanosPerSecond;
  auto server = Server::Start(options);
  ASSERT_TRUE(server.ok());
  std::vector<std::unique_ptr<RemoteStore>> stores;
  for (int w = 0; w < 2; ++w) {
    RemoteStoreOptions store_options = TestStoreOptions(w, 2, {(*server)->address()}, kLongSilence);
    store_options.progress_ns = 3 * kNanosPerSecond;
    auto store = RemoteStore::Connect(store_options);
    ASSERT_TRUE(store.ok());
    stores.push_back(std::move(*store));
  }
  ASSERT_TRUE(RunStep(stores[0].get(), 5, 1, 0).ok());
  const Status status = stores[0]->Drain(1);
  EXPECT_EQ(status.code(), StatusCode::kDeadlineExceeded);
  EXPECT_THAT(status.message(), HasSubstr("missing: worker 1 (last pushed step 0)"));
  EXPECT_THAT((*server)->Wait().message(), HasSubstr("missing: worker 1"));
}

TEST(PeerDeathTest, WorkersThatNeverComeAreNamed) {
  ServerOptions options = TestServerOptions(0, 1, 2, nullptr, kLongSilence);
  options.progress_ns = kNanosPerSecond / 10;
  auto server = Server::Start(options);
  ASSERT_TRUE(server.ok());
  const Status status = (*server)->Wait();
  EXPECT_EQ(status.code(), StatusCode::kDeadlineExceeded);
  EXPECT_THAT(status.message(),
              AllOf(HasSubstr("worker 0 (never connected)"), HasSubstr("worker 1 (never connected)")));
}

TEST(PeerDeathTest, AWorkerThatLeavesWhileItsPushIsNeededEndsTheWaitAtOnce) {
  Cluster cluster(1, 2, nullptr, kLongSilence);
  auto first = cluster.Connect(0);
  auto second = cluster.Connect(1);
  ASSERT_TRUE(first && second);
  ASSERT_TRUE(RunStep(first.get(), 5, 1, 0).ok());
  second.reset();
  const int64_t start_ns = SystemClock().SteadyNanos();
  const Status status = first->Drain(1);
  EXPECT_LT(SecondsSince(start_ns), kAtOnceMax);
  EXPECT_EQ(status.code(), StatusCode::kFailedPrecondition);
  EXPECT_THAT(status.message(), HasSubstr("worker 1 ended after pushing step 0"));
}

TEST(PeerDeathTest, WorkersThatLeaveWithoutShutdownEndTheServer) {
  Cluster cluster(1, 1, nullptr, kSilence);
  cluster.Connect(0).reset();
  EXPECT_EQ(cluster.server(0).Wait().code(), StatusCode::kAborted);
}

TEST(PeerDeathTest, ShutdownEndsAllServersAtOnceWhileStoresAreOpen) {
  for (const int num_servers : {0, 1, 2}) {
    SCOPED_TRACE(num_servers);
    Cluster cluster(num_servers, 2, nullptr, kLongSilence);
    auto first = cluster.Connect(0);
    auto second = cluster.Connect(1);
    ASSERT_TRUE(first && second);
    EXPECT_EQ(second->Shutdown().code(), StatusCode::kPermissionDenied);
    const int64_t start_ns = SystemClock().SteadyNanos();
    ASSERT_TRUE(first->Shutdown().ok());
    for (int i = 0; i < cluster.size(); ++i) EXPECT_TRUE(cluster.server(i).Wait().ok());
    EXPECT_LT(SecondsSince(start_ns), kAtOnceMax) << "nobody has to be waited for";
    EXPECT_FALSE(second->Drain(1).ok());
  }
}

TEST(PeerDeathTest, APullGivenUpDoesNotMakeTheEndAFailure) {
  // A run that stops early has pulled for the step after its last. Many ends: it is a race of two closing sides.
  for (int end = 0; end < 40; ++end) {
    Cluster cluster(2, 1, nullptr, kSilence);
    RemoteStoreOptions options = cluster.StoreOptions(0);
    std::atomic<bool> failed = false;
    options.on_failure = [&](const Status&) { failed = true; };
    auto store = RemoteStore::Connect(options);
    ASSERT_TRUE(store.ok()) << store.status().ToString();
    ASSERT_TRUE(RunStep(store->get(), 5, 1, 0).ok());
    const auto tables = TestTables();
    StepData next(5, 2, 0, tables);
    ASSERT_TRUE((*store)->StartPull(2, PullKind::kTraining, next.pulls).ok());
    ASSERT_TRUE((*store)->Drain(1).ok());
    ASSERT_TRUE((*store)->Shutdown().ok());
    for (int i = 0; i < cluster.size(); ++i) EXPECT_TRUE(cluster.server(i).Wait().ok());
    SystemClock().SleepNanos(2 * kNanosPerMilli);
    store->reset();
    ASSERT_FALSE(failed) << "end " << end;
  }
}

}  // namespace
}  // namespace weir::testing
