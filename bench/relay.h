// Relay: stands between workers and a server on loopback TCP, counts the bytes that sockets carry and delivers them
// late.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <mutex>
#include <thread>
#include <vector>

#include "param_server/server_address.h"

namespace weir::bench {

// Owns a thread that accepts, and four for each connection. Any thread may call it. Sockets that fail end the process.
class Relay {
 public:
  // What comes is delivered delay_ns after it came, in both directions.
  Relay(const ServerAddress& server, int64_t delay_ns);
  // Closes what is open.
  ~Relay();
  Relay(const Relay&) = delete;
  Relay& operator=(const Relay&) = delete;

  // For workers, in place of the server's: it has no Unix socket.
  const ServerAddress& address() const { return address_; }
  // That came from both sides: the contents of the TCP streams, without their packets' headers.
  int64_t bytes() const { return bytes_; }

 private:
  class Pipe;

  void Accept();

  const ServerAddress server_;
  const int64_t delay_ns_;
  ServerAddress address_;
  int listener_ = -1;
  std::atomic<int64_t> bytes_ = 0;
  std::atomic<bool> ends_ = false;
  std::vector<std::unique_ptr<Pipe>> pipes_;  // of the accepting thread until it is joined
  std::thread acceptor_;
};

}  // namespace weir::bench
