// Transport: what a worker's store or a server asks of the network, of time and of threads. Sockets and a thread in a
// job (socket_transport.h); a simulated network on virtual time in tests.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>

#include "base/clock.h"
#include "base/status.h"
#include "param_server/protocol.h"
#include "param_server/server_address.h"

namespace weir {

// A message on its way: shared by the connection that writes it and the link that may have to send it again.
struct Frame {
  Frame(MessageType type, uint64_t request_id, uint32_t timeout_ms, Buffer payload);

  const MessageType type;
  const uint64_t request_id;
  const uint32_t timeout_ms;
  const Buffer payload;
  const uint32_t payload_crc32c;
  uint64_t sequence = 0;  // set once, before it is sent
};

// A connection to one peer that carries whole frames in order, until it breaks. Send may be called from any thread, all
// else only on the transport's thread, on which the callbacks come too.
class Channel {
 public:
  // An error closes the channel with it.
  using OnFrame = std::function<Status(const FrameHeader&, Buffer)>;
  // Called once; Unavailable if the peer closed or the network failed, Unauthenticated if one end does not accept the
  // other's certificate, else what Close or on_frame said.
  using OnClose = std::function<void(const Status&)>;

  virtual ~Channel() = default;
  // Shakes hands, where the network asks for that (TLS, shared memory); frames that are sent meanwhile wait.
  virtual void Start(OnFrame on_frame, OnClose on_close) = 0;
  virtual void set_payload_bytes_max(int64_t bytes_max) = 0;
  // Queues a frame, or writes it at once from the calling thread as far as the network takes it. Silently does nothing
  // once closed: on_close says why.
  virtual void Send(std::shared_ptr<const Frame> frame, uint64_t acknowledged) = 0;
  // Closes once all that was sent is written and the peer has closed its side; frames that still come are discarded.
  // (Closing with unread bytes would reset the connection, and the peer could lose the last frames.) The owner bounds
  // the wait with Close.
  virtual void CloseAfterWrites() = 0;
  // `reason` must be an error.
  virtual void Close(const Status& reason) = 0;
  virtual bool closed() const = 0;
  // Steady time at which bytes last came.
  virtual int64_t last_heard_ns() const = 0;
  // Whether it may break while the peer lives. False within a machine: there only the peer's end closes it.
  virtual bool may_break() const = 0;
  // For messages: "127.0.0.1:4711", "Unix socket".
  virtual std::string peer() const = 0;
};

struct ListenOptions {
  std::string bind_address;
  int port = 0;                                    // 0: any free one
  std::string who;                                 // for messages: "server 0"
  int64_t payload_bytes_max = kHandshakeBytesMax;  // of a channel at first
  int num_workers = 1;                             // that will connect; they share the memory there is for channels
};

// One per store and per server; owned by it. Its thread runs one callback at a time.
class Transport {
 public:
  virtual ~Transport() = default;

  virtual const Clock& clock() const = 0;

  // Runs `work` on the transport's thread, later. Any thread. Work that is left when Stop comes is dropped.
  virtual void Post(std::function<void()> work) = 0;
  // Runs `work` on the transport's thread and waits for it; false if that has stopped. Any thread but the transport's.
  virtual bool Run(const std::function<void()>& work) = 0;
  // Runs `work` on the transport's thread after a while. Any thread.
  virtual void After(int64_t delay_ns, std::function<void()> work) = 0;

  // Like changed.wait_for: wakes at the latest after the time; may wake before without a cause. Not on the transport's
  // thread.
  virtual void Wait(std::unique_lock<std::mutex>& lock, std::condition_variable& changed, int64_t timeout_ns) = 0;

  // Opens a channel to a server: by Unix socket if it runs on this machine and can be reached so, else by TCP. `done`
  // comes within the time, on the transport's thread: Unavailable, or NotFound where the host says that nobody listens.
  using OnDialed = std::function<void(Result<std::shared_ptr<Channel>>)>;
  virtual void Dial(const ServerAddress& address, int64_t timeout_ns, OnDialed done) = 0;

  // Accepts channels from now on. AlreadyExists if the port is taken. Not on the transport's thread.
  using OnAccepted = std::function<void(std::shared_ptr<Channel>)>;
  virtual Result<ServerAddress> Listen(const ListenOptions& options, OnAccepted on_accepted) = 0;
  // On the transport's thread.
  virtual void StopListening() = 0;

  // Ends the thread: no callback comes afterwards. Not on the transport's thread.
  virtual void Stop() = 0;
};

}  // namespace weir
