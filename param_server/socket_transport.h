// SocketTransport: the Transport of a job: TCP, shared memory within a machine, and one I/O thread.
#pragma once

#include <memory>
#include <thread>

#include <asio/executor_work_guard.hpp>
#include <asio/io_context.hpp>

#include "param_server/listener.h"
#include "param_server/tls_credentials.h"
#include "param_server/transport.h"

namespace weir {

class SocketTransport : public Transport {
 public:
  // payload_bytes_max: of a channel that was dialed. With credentials TCP carries TLS, at both ends; null: none. A
  // Unix socket is plain in either case: no byte of it leaves the machine.
  SocketTransport(const JobToken& token, int64_t payload_bytes_max, std::shared_ptr<const TlsCredentials> tls);
  ~SocketTransport() override;

  const Clock& clock() const override { return SystemClock(); }
  void Post(std::function<void()> work) override;
  bool Run(const std::function<void()>& work) override;
  void After(int64_t delay_ns, std::function<void()> work) override;
  void Wait(std::unique_lock<std::mutex>& lock, std::condition_variable& changed, int64_t timeout_ns) override;
  void Dial(const ServerAddress& address, int64_t timeout_ns, OnDialed done) override;
  Result<ServerAddress> Listen(const ListenOptions& options, OnAccepted on_accepted) override;
  void StopListening() override { listener_.Close(); }
  void Stop() override;

 private:
  const JobToken token_;
  const int64_t payload_bytes_max_;
  const std::shared_ptr<const TlsCredentials> tls_;
  asio::io_context io_;
  asio::executor_work_guard<asio::io_context::executor_type> work_;  // the thread stays while there is nothing to do
  Listener listener_;
  std::thread thread_;
};

}  // namespace weir
