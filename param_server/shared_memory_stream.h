// The Stream between ranks of one machine: two rings of bytes in memory that both map, one each way. The Unix socket
// beside them hands the memory over, wakes who waits, and tells of the peer's end. docs/protocol.md, "Within a
// machine".
#pragma once

#include <cstddef>
#include <memory>

#include "base/status.h"
#include "param_server/stream.h"

namespace weir {

// Bytes under way in one direction: powers of two. What is copied in by one end and out by the other soon after stays
// in the processor's cache; a ring that has gone round once stays in memory as long as the stream.
inline constexpr size_t kRingBytesMin = 64 << 10;
inline constexpr size_t kRingBytesMax = 1 << 20;

// Rings of a server with so many workers, so that all of them take 32 MiB at most, up to 256 workers.
size_t RingBytes(int num_workers);

// The end that accepted the socket makes the memory, sealed so that nobody can cut it off from under the other, and
// offers it in its handshake. Where the system gives none, both ends go on over the socket alone.
std::unique_ptr<Stream> AcceptSharedMemory(Stream::Socket socket, size_t ring_bytes);

// The end that dialed takes what is offered; its handshake fails with DataLoss on anything else.
std::unique_ptr<Stream> DialSharedMemory(Stream::Socket socket);

}  // namespace weir
