// The Stream between ranks of one machine: two rings of bytes in memory that both map, one each way. The Unix socket
// beside them hands the memory over, wakes who waits, and tells of the peer's end. docs/protocol.md, "Within a
// machine".
#pragma once

#include <cstddef>
#include <memory>

#include "base/status.h"
#include "param_server/stream.h"

namespace weir {

// Bytes under way in one direction: a power of two. What is copied in by one end and out by the other soon after stays
// in the processor's cache.
inline constexpr size_t kRingBytes = 1 << 20;

// The end that accepted the socket makes the memory, sealed so that nobody can cut it off from under the other, and
// offers it in its handshake. Unavailable: the system has none.
Result<std::unique_ptr<Stream>> AcceptSharedMemory(Stream::Socket socket);

// The end that dialed takes what is offered; its handshake fails with DataLoss on anything else.
std::unique_ptr<Stream> DialSharedMemory(Stream::Socket socket);

}  // namespace weir
