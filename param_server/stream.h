// Stream: the bytes under a Connection: a plain socket, TLS on one (tls_stream.h), or memory that both ends share
// (shared_memory_stream.h).
#pragma once

#include <array>
#include <cstddef>
#include <functional>
#include <memory>

#include <asio/any_io_executor.hpp>
#include <asio/buffer.hpp>
#include <asio/generic/stream_protocol.hpp>

#include "base/status.h"

namespace weir {

// Owned by one Connection, whose handlers keep it alive: at most one read and one write are under way. All is called on
// the transport's thread, but WriteNow. Errors: Unavailable where the network or the peer's end closed it,
// Unauthenticated where one end does not accept the other's certificate.
class Stream {
 public:
  using Socket = asio::generic::stream_protocol::socket;
  using OnReady = std::function<void(const Status&)>;
  using OnBytes = std::function<void(const Status&, size_t bytes)>;
  using WriteBuffers = std::array<asio::const_buffer, 2>;

  virtual ~Stream() = default;

  // Before all else, once. A plain socket, or the end that offers memory, is ready at once: `done` is called from here.
  virtual void Handshake(OnReady done) = 0;
  // Some bytes, at least one.
  virtual void Read(asio::mutable_buffer to, OnBytes done) = 0;
  virtual void Write(const WriteBuffers& from, OnBytes done) = 0;
  // Writes what the network takes at once, from the calling thread, and says how much; 0 where only the transport's
  // thread may write. Never while a Write is under way or during Close: the caller's lock sees to it. An error is left
  // for the next Write to find.
  virtual size_t WriteNow(const WriteBuffers& from) = 0;
  // The peer reads to the end of what was written, and then an end.
  virtual void EndWrites() = 0;
  // What is under way is done with an error.
  virtual void Close() = 0;
  // Bytes that have come and were not read, as far as can be told: a read may wait for more of them.
  virtual size_t Unread() { return 0; }
  // Whether both ends are on this machine.
  virtual bool is_unix() const = 0;
  virtual asio::any_io_executor executor() = 0;
};

// Takes an open socket.
std::unique_ptr<Stream> MakeSocketStream(Stream::Socket socket);

bool IsUnix(const Stream::Socket& socket);
// Unavailable, in the words of a log.
Status SocketStatus(const asio::error_code& error);

}  // namespace weir
