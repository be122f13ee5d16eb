// CuttingRelay: stands between workers and a server on loopback, and cuts, holds and looks at what passes.
#pragma once

#include <sys/socket.h>
#include <unistd.h>

#include <netinet/in.h>
#include <poll.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <mutex>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include <gtest/gtest.h>

#include "base/clock.h"
#include "param_server/server_address.h"

namespace weir::testing {

// Listens on a port of its own and joins what comes to another port. Cuts each connection after so many bytes; 0:
// never. One thread.
class CuttingRelay {
 public:
  CuttingRelay(int to_port, int64_t bytes_max)
      : to_port_(to_port), bytes_max_(bytes_max), listener_(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    sockaddr_in address = Loopback(0);
    socklen_t size = sizeof(address);
    EXPECT_EQ(bind(listener_, reinterpret_cast<sockaddr*>(&address), size), 0);
    EXPECT_EQ(listen(listener_, 16), 0);
    EXPECT_EQ(getsockname(listener_, reinterpret_cast<sockaddr*>(&address), &size), 0);
    port_ = ntohs(address.sin_port);
    thread_ = std::thread([this] { Run(); });
  }
  ~CuttingRelay() {
    stopping_ = true;
    thread_.join();
    close(listener_);
    for (const auto& pair : pairs_) Cut(pair);
  }

  int port() const { return port_; }
  int connections() const { return connections_; }
  // From now on nothing passes, and connections stay as they are.
  void Hold(bool held) { held_ = held; }
  // Whether these bytes have passed in one piece.
  bool HasSeen(std::string_view bytes) {
    std::lock_guard lock(seen_mutex_);
    return seen_.find(bytes) != std::string::npos;
  }
  int64_t bytes_seen() {
    std::lock_guard lock(seen_mutex_);
    return static_cast<int64_t>(seen_.size());
  }
  // Accepts no more, and cuts what is there.
  void CutForGood() { cut_for_good_ = true; }

 private:
  struct Pair {
    std::array<int, 2> ends;
    int64_t left;
  };

  static sockaddr_in Loopback(int port) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(static_cast<uint16_t>(port));
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    return address;
  }
  static void Cut(const Pair& pair) {
    for (const int end : pair.ends) close(end);
  }

  void Run() {
    while (!stopping_) {
      if (held_) {
        SystemClock().SleepNanos(5 * kNanosPerMilli);
        continue;
      }
      std::vector<pollfd> waiting = {{listener_, POLLIN, 0}};
      for (const Pair& pair : pairs_) {
        for (const int end : pair.ends) waiting.push_back({end, POLLIN, 0});
      }
      if (poll(waiting.data(), waiting.size(), 20) <= 0) continue;
      std::vector<Pair> still;
      for (size_t i = 0; i < pairs_.size(); ++i) {
        const bool ready[] = {waiting[1 + 2 * i].revents != 0, waiting[2 + 2 * i].revents != 0};
        if (cut_for_good_ || !Forward(&pairs_[i], ready)) {
          Cut(pairs_[i]);
        } else {
          still.push_back(pairs_[i]);
        }
      }
      pairs_ = std::move(still);
      if (waiting[0].revents != 0) Accept();
    }
  }

  void Accept() {
    const int from = accept(listener_, nullptr, nullptr);
    const int to = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    const sockaddr_in address = Loopback(to_port_);
    if (cut_for_good_ || connect(to, reinterpret_cast<const sockaddr*>(&address), sizeof(address)) != 0) {
      close(from);
      close(to);
      return;
    }
    ++connections_;
    pairs_.push_back({{from, to}, bytes_max_ == 0 ? INT64_MAX : bytes_max_});
  }

  bool Forward(Pair* pair, const bool (&ready)[2]) {
    std::array<char, 4096> bytes;
    for (int end = 0; end < 2; ++end) {
      if (!ready[end]) continue;
      const size_t most = std::min<int64_t>(bytes.size(), pair->left);
      const ssize_t got = recv(pair->ends[end], bytes.data(), most, 0);
      if (got <= 0 || send(pair->ends[1 - end], bytes.data(), got, MSG_NOSIGNAL) != got) return false;
      pair->left -= got;
      std::lock_guard lock(seen_mutex_);
      seen_.append(bytes.data(), got);
      if (pair->left == 0) return false;
    }
    return true;
  }

  const int to_port_;
  const int64_t bytes_max_;
  const int listener_;
  int port_ = 0;
  std::atomic<bool> stopping_ = false;
  std::atomic<bool> held_ = false;
  std::atomic<bool> cut_for_good_ = false;
  std::atomic<int> connections_ = 0;
  std::mutex seen_mutex_;
  std::string seen_;         // all that passed, guarded by seen_mutex_
  std::vector<Pair> pairs_;  // of the thread
  std::thread thread_;
};

inline ServerAddress Through(const CuttingRelay& relay) {
  ServerAddress address;
  address.host = "127.0.0.1";
  address.port = relay.port();
  return address;
}

}  // namespace weir::testing
