// TLS between workers and servers, over real sockets: the same bits, nothing in clear, and nobody in without a
// certificate of the authority.
#include <signal.h>

#include <fstream>
#include <thread>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <openssl/err.h>
#include <openssl/ssl.h>

#include "tests/param_server/certificates.h"
#include "tests/param_server/cluster.h"
#include "tests/param_server/cutting_relay.h"
#include "tests/param_server/one_worker_job.h"

namespace weir::testing {
namespace {

using ::testing::AllOf;
using ::testing::Contains;
using ::testing::HasSubstr;

using Tls = std::shared_ptr<const TlsCredentials>;

double SecondsSince(int64_t start_ns) {
  return static_cast<double>(SystemClock().SteadyNanos() - start_ns) / kNanosPerSecond;
}

struct Trained {
  SavedRows rows;
  int connections = 0;
  int64_t bytes = 0;
  bool magic_in_clear = false;
  bool token_in_clear = false;
};

// 2 workers and 2 servers over TCP; worker 1 goes through relays that cut it after so many bytes (0: never).
Trained Train(const Tls& tls, int64_t bytes_max = 0) {
  constexpr int64_t kSteps = 60;
  MemoryRowFiles files;
  Cluster cluster(2, 2, &files, /*silence_s=*/20, /*tcp_only=*/true, TestTables(), {}, true, tls);
  CuttingRelay relays[] = {{cluster.address(0).port, bytes_max}, {cluster.address(1).port, bytes_max}};
  std::unique_ptr<RemoteStore> stores[2];
  const auto work = [&](int worker) {
    RemoteStoreOptions options = cluster.StoreOptions(worker);
    if (worker == 1) options.servers = {Through(relays[0]), Through(relays[1])};
    auto store = RemoteStore::Connect(options);
    ASSERT_TRUE(store.ok()) << store.status().ToString();
    stores[worker] = std::move(*store);
    for (int64_t step = 1; step <= kSteps; ++step) {
      const Status status = RunStep(stores[worker].get(), 5, step, worker);
      ASSERT_TRUE(status.ok()) << status.ToString();
    }
    const Status drained = stores[worker]->Drain(kSteps);
    EXPECT_TRUE(drained.ok()) << drained.ToString();
  };
  std::thread other([&] { work(1); });
  work(0);
  other.join();
  if (!stores[0] || !stores[1]) return {};
  EXPECT_TRUE(stores[1]->Save(kSteps, "end").ok());
  EXPECT_TRUE(stores[0]->Shutdown().ok());
  const std::string token(kToken.begin(), kToken.end());
  Trained trained{.rows = files.Rows("end")};
  for (CuttingRelay& relay : relays) {
    trained.connections += relay.connections();
    trained.bytes += relay.bytes_seen();
    trained.magic_in_clear |= relay.HasSeen("WEIR");
    trained.token_in_clear |= relay.HasSeen(token);
  }
  return trained;
}

TEST(TlsTest, ChangesNoBitAndShowsNothing) {
  const Trained plain = Train(nullptr);
  EXPECT_GT(plain.rows.size(), 200u);
  EXPECT_TRUE(plain.magic_in_clear && plain.token_in_clear) << "the test sees what passes";
  PemFolder folder;
  const Authority authority(&folder, "authority");
  const Trained hidden = Train(Loaded(authority.Issue("host")));
  EXPECT_EQ(hidden.rows, plain.rows);
  EXPECT_GT(hidden.bytes, plain.bytes);
  EXPECT_EQ(hidden.connections, 2);
  EXPECT_FALSE(hidden.magic_in_clear);
  EXPECT_FALSE(hidden.token_in_clear);
}

TEST(TlsTest, ConnectionsThatBreakAreMended) {
  PemFolder folder;
  const Authority authority(&folder, "authority");
  const Tls tls = Loaded(authority.Issue("host"));
  const SavedRows undisturbed = Train(nullptr).rows;
  for (const int64_t bytes_max : {7001, 12289}) {
    SCOPED_TRACE(bytes_max);
    const Trained cut = Train(tls, bytes_max);
    EXPECT_EQ(cut.rows, undisturbed);
    EXPECT_GT(cut.connections, 10);
    EXPECT_FALSE(cut.magic_in_clear || cut.token_in_clear);
  }
}

// What this process logs.
class Logs : public google::LogSink {
 public:
  Logs() { google::AddLogSink(this); }
  ~Logs() override { google::RemoveLogSink(this); }
  void send(google::LogSeverity, const char*, const char*, int, const struct ::tm*, const char* message,
            size_t size) override {
    std::lock_guard lock(mutex_);
    lines_.emplace_back(message, size);
  }
  std::vector<std::string> lines() {
    std::lock_guard lock(mutex_);
    return lines_;
  }

 private:
  std::mutex mutex_;
  std::vector<std::string> lines_;
};

// A client that believes every server and shows what certificate it is given, or none.
class TlsStranger {
 public:
  TlsStranger(int port, const TlsFiles& shown, int version_max = TLS1_3_VERSION) {
    SSL_CTX_set_max_proto_version(context_.get(), version_max);
    signal(SIGPIPE, SIG_IGN);  // OpenSSL's sockets do not keep it away
    if (!shown.certificate.empty()) {
      EXPECT_EQ(SSL_CTX_use_certificate_file(context_.get(), shown.certificate.c_str(), SSL_FILETYPE_PEM), 1);
      EXPECT_EQ(SSL_CTX_use_PrivateKey_file(context_.get(), shown.key.c_str(), SSL_FILETYPE_PEM), 1);
    }
    fd_ = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    const timeval limit{.tv_sec = 4, .tv_usec = 0};
    setsockopt(fd_, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(static_cast<uint16_t>(port));
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    EXPECT_EQ(::connect(fd_, reinterpret_cast<sockaddr*>(&address), sizeof(address)), 0);
    session_.reset(SSL_new(context_.get()));
    SSL_set_fd(session_.get(), fd_);
  }
  ~TlsStranger() { close(fd_); }

  // What the server says of it, by the alert that it sends; empty if it takes the Hello.
  std::string Refusal() {
    ERR_clear_error();
    const auto hello = RawSocket::Frame(MessageType::kHello, EncodeHello(TestHello(0, 1)));
    if (SSL_connect(session_.get()) == 1) SSL_write(session_.get(), hello.data(), static_cast<int>(hello.size()));
    char byte;
    if (ERR_peek_error() == 0 && SSL_read(session_.get(), &byte, 1) == 1) return "";
    const char* reason = ERR_reason_error_string(ERR_get_error());
    return reason ? reason : "closed without a word";
  }

 private:
  std::unique_ptr<SSL_CTX, decltype(&SSL_CTX_free)> context_{SSL_CTX_new(TLS_client_method()), &SSL_CTX_free};
  std::unique_ptr<SSL, decltype(&SSL_free)> session_{nullptr, &SSL_free};
  int fd_ = -1;
};

// The job trains over TLS.
class TlsStrangersTest : public OneWorkerJobTest {
 protected:
  TlsStrangersTest() { Begin(cluster_); }
  ~TlsStrangersTest() override { End(&cluster_); }
  void ExpectDropped(const std::string& reason) {
    const int64_t start_ns = SystemClock().SteadyNanos();
    const auto dropped = Contains(AllOf(HasSubstr("dropped a connection from 127.0.0.1:"), HasSubstr(reason)));
    while (SecondsSince(start_ns) < 4 && !::testing::Matches(dropped)(logs_.lines())) {
      SystemClock().SleepNanos(10 * kNanosPerMilli);
    }
    EXPECT_THAT(logs_.lines(), dropped);
  }
  int port() const { return cluster_.address(0).port; }

  Logs logs_;
  PemFolder folder_;
  const Authority authority_{&folder_, "authority"};
  const TlsFiles files_ = authority_.Issue("host");
  Cluster cluster_{1, 1, nullptr, 10, true, TestTables(), {}, true, Loaded(files_)};
};

TEST_F(TlsStrangersTest, OneOfTheAuthorityIsHeard) {
  TlsStranger known(port(), files_);
  EXPECT_EQ(known.Refusal(), "") << "the server answers its Hello, if only by a refusal of the protocol's own";
}

TEST_F(TlsStrangersTest, OneThatSpeaksNoTlsIsDropped) {
  RawSocket socket(port());
  const std::string garbage = "GET / HTTP/1.1\r\nHost: weir.example\r\nUser-Agent: a browser gone astray\r\n\r\n";
  EXPECT_TRUE(socket.Write(garbage.data(), garbage.size()));
  EXPECT_TRUE(socket.ClosedWithin(2));
  ExpectDropped("TLS handshake: http request");
}

TEST_F(TlsStrangersTest, OneThatHasTheTokenAndNoTlsIsDropped) {
  RawSocket socket(port());
  EXPECT_TRUE(socket.WriteFrame(MessageType::kHello, EncodeHello(TestHello(0, 1))));
  EXPECT_TRUE(socket.ClosedWithin(2));
  ExpectDropped("TLS handshake: wrong version number");
}

TEST_F(TlsStrangersTest, OneWithoutACertificateIsDroppedAndTold) {
  TlsStranger stranger(port(), {});
  EXPECT_THAT(stranger.Refusal(), HasSubstr("certificate required"));
  ExpectDropped("TLS handshake: peer did not return a certificate");
}

TEST_F(TlsStrangersTest, OneOfAnotherAuthorityIsDroppedAndTold) {
  const Authority other(&folder_, "other");
  TlsStranger stranger(port(), other.Issue("stranger"));
  EXPECT_THAT(stranger.Refusal(), HasSubstr("unknown ca"));
  ExpectDropped("TLS handshake: unable to get local issuer certificate");
}

TEST_F(TlsStrangersTest, AnExpiredOneIsDroppedAndTold) {
  TlsStranger stranger(port(), authority_.Issue("late", "IP:127.0.0.1", -60));
  EXPECT_THAT(stranger.Refusal(), HasSubstr("certificate expired"));
  ExpectDropped("TLS handshake: certificate has expired");
}

TEST_F(TlsStrangersTest, AnOlderTlsIsDroppedAndTold) {
  TlsStranger stranger(port(), files_, TLS1_2_VERSION);
  EXPECT_THAT(stranger.Refusal(), HasSubstr("alert protocol version"));
  ExpectDropped("TLS handshake: unsupported protocol");
}

TEST_F(TlsStrangersTest, ACrowdInItsHandshakeIsBoundedAndTheNextWorkerGetsIn) {
  const auto idle = Crowd(port());
  ASSERT_TRUE(store_->Drain(step_).ok());
  store_.reset();
  store_ = cluster_.Connect(0);
  ASSERT_TRUE(store_);
}

TEST(TlsHandshakeTest, AStrangerThatStopsInItsHandshakeIsDropped) {
  PemFolder folder;
  const Authority authority(&folder, "authority");
  Cluster cluster(1, 1, nullptr, /*silence_s=*/1, true, TestTables(), {}, true, Loaded(authority.Issue("host")));
  auto store = cluster.Connect(0);
  ASSERT_TRUE(store);
  RawSocket silent(cluster.address(0).port), torn(cluster.address(0).port);
  const uint8_t begun[] = {0x16, 0x03, 0x01, 0x02, 0x00, 0x01};  // a ClientHello of 512 bytes, its first one
  EXPECT_TRUE(torn.Write(begun, sizeof(begun)));
  EXPECT_TRUE(silent.ClosedWithin(4));
  EXPECT_TRUE(torn.ClosedWithin(4));
  EXPECT_TRUE(RunStep(store.get(), 5, 1, 0).ok());
}

// A worker that cannot get in, and why; at once, though it would wait 30 s for a server that is only away.
void ExpectRefused(const TlsFiles& server, const TlsFiles& worker, const ::testing::Matcher<std::string>& message) {
  Cluster cluster(1, 1, nullptr, /*silence_s=*/30, true, TestTables(), {}, true, Loaded(server));
  RemoteStoreOptions options = cluster.StoreOptions(0);
  options.tls = Loaded(worker);
  const int64_t start_ns = SystemClock().SteadyNanos();
  const auto store = RemoteStore::Connect(options);
  ASSERT_FALSE(store.ok());
  EXPECT_EQ(store.status().code(), StatusCode::kUnauthenticated);
  EXPECT_THAT(store.status().message(), AllOf(HasSubstr("worker 0 joining server 0 (127.0.0.1:"), message));
  EXPECT_LT(SecondsSince(start_ns), 8);
}

TEST(TlsWorkerTest, EndsAtOnceWhereTheServersCertificateOrItsOwnIsRefused) {
  PemFolder folder;
  const Authority authority(&folder, "authority"), other(&folder, "other");
  const TlsFiles server = authority.Issue("server"), foreign = other.Issue("foreign");
  ExpectRefused(server, foreign, AllOf(HasSubstr("cluster.tls.authority"), HasSubstr("issuer certificate")));
  ExpectRefused(authority.Issue("elsewhere", "DNS:elsewhere,IP:192.0.2.1"), server,
                AllOf(HasSubstr("the subject alternative name 127.0.0.1"), HasSubstr("mismatch")));
  // It believes the server, who does not believe it.
  TlsFiles both = foreign;
  both.authority = folder.File("both.pem");
  std::ofstream(both.authority) << std::ifstream(authority.path()).rdbuf() << std::ifstream(other.path()).rdbuf();
  ExpectRefused(server, both, AllOf(HasSubstr("refuses this host's certificate"), HasSubstr("unknown ca")));
}

TEST(TlsWorkerTest, DialsByNameAndHoldsTheServerToIt) {
  PemFolder folder;
  const Authority authority(&folder, "authority");
  for (const bool right : {true, false}) {
    const Tls tls = Loaded(authority.Issue("host", right ? "DNS:localhost" : "DNS:*.localhost,IP:127.0.0.1"));
    Cluster cluster(1, 1, nullptr, 10, true, TestTables(), {}, true, tls);
    RemoteStoreOptions options = cluster.StoreOptions(0);
    options.servers[0].host = "localhost";
    const auto store = RemoteStore::Connect(options);
    EXPECT_EQ(store.status().code(), right ? StatusCode::kOk : StatusCode::kUnauthenticated)
        << store.status().ToString();
  }
}

TEST(TlsWorkerTest, OneWithoutTlsIsTurnedAwayInSeconds) {
  PemFolder folder;
  const Authority authority(&folder, "authority");
  Cluster cluster(1, 1, nullptr, /*silence_s=*/30, true, TestTables(), {}, true, Loaded(authority.Issue("host")));
  RemoteStoreOptions options = cluster.StoreOptions(0);
  options.tls = nullptr;
  const int64_t start_ns = SystemClock().SteadyNanos();
  EXPECT_EQ(RemoteStore::Connect(options).status().code(), StatusCode::kUnavailable);
  EXPECT_LT(SecondsSince(start_ns), 20);
}

TEST(TlsTest, UnixSocketsStayPlain) {
  PemFolder folder;
  const Authority authority(&folder, "authority");
  Cluster cluster(1, 1, nullptr, 10, /*tcp_only=*/false, TestTables(), {}, true, Loaded(authority.Issue("host")));
  RemoteStoreOptions options = cluster.StoreOptions(0);
  options.tls = nullptr;
  auto store = RemoteStore::Connect(options);
  ASSERT_TRUE(store.ok()) << store.status().ToString();
  EXPECT_TRUE(RunStep(store->get(), 5, 1, 0).ok());
}

TEST(TlsCredentialsTest, FilesThatDoNotBelongTogetherAreNamedWithTheirFields) {
  PemFolder folder;
  const Authority authority(&folder, "authority"), other(&folder, "other");
  const TlsFiles good = authority.Issue("host");
  const auto expect = [&](TlsFiles files, StatusCode code, const ::testing::Matcher<std::string>& message) {
    const auto loaded = TlsCredentials::Load(files);
    EXPECT_EQ(loaded.status().code(), code);
    EXPECT_THAT(loaded.status().message(), message);
  };
  expect(good, StatusCode::kOk, "");
  TlsFiles files = good;
  files.key = folder.File("nowhere.key");
  expect(files, StatusCode::kNotFound, AllOf(HasSubstr("cluster.tls.key"), HasSubstr("nowhere.key")));
  files = good;
  files.certificate = good.key;
  expect(files, StatusCode::kInvalidArgument, AllOf(HasSubstr("cluster.tls.certificate"), HasSubstr("in PEM")));
  files = good;
  files.authority = good.key;
  expect(files, StatusCode::kInvalidArgument, AllOf(HasSubstr("cluster.tls.authority"), HasSubstr("in PEM")));
  files = good;
  files.key = other.Issue("another").key;
  expect(files, StatusCode::kInvalidArgument, AllOf(HasSubstr("cluster.tls.key"), HasSubstr("mismatch")));
  files = good;
  files.authority = other.path();
  expect(files, StatusCode::kInvalidArgument, AllOf(HasSubstr(files.authority), HasSubstr("issuer certificate")));
  expect(authority.Issue("late", "IP:127.0.0.1", -60), StatusCode::kInvalidArgument, HasSubstr("has expired"));
}

}  // namespace
}  // namespace weir::testing
