// The parameter protocol as bytes: frames and messages, encoded and decoded on spans, without sockets; those that carry
// keys, weights and gradients are in row_messages.h. docs/protocol.md is its specification. Nothing here trusts its
// input: every decoder checks each length against the bytes that are there before it reads or allocates, and returns
// DataLoss or InvalidArgument.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/status.h"
#include "embeddings/server_load.h"
#include "embeddings/store.h"
#include "embeddings/table_set.h"
#include "embeddings/table_stats.h"
#include "proto/checkpoint.pb.h"

namespace weir {

// ---- Frames

inline constexpr uint16_t kProtocolVersion = 5;
inline constexpr size_t kFrameHeaderBytes = 72;
// Largest payload of a peer that has not shaken hands.
inline constexpr int64_t kHandshakeBytesMax = 4096;
// A worker may push this many steps past the last applied one, and have this many requests unanswered at a server.
inline constexpr int64_t kStepsAheadMax = 16;
inline constexpr int kRequestsMax = 256;

// 128 random bits that all ranks of one job share.
using JobToken = std::array<uint8_t, 16>;

// From the machine's random device; Unavailable when that cannot be read.
Result<JobToken> MakeToken();

// On the wire: never renumber.
enum class MessageType : uint16_t {
  kHello = 1,
  kWelcome = 2,
  kPull = 3,
  kRows = 4,
  kPush = 5,
  kDrain = 6,
  kSave = 7,
  kLoad = 8,
  kFiles = 9,
  kStats = 10,
  kStatsReply = 11,
  kDone = 12,
  kHeartbeat = 13,
  kGoodbye = 14,
  kShutdown = 15,
  kError = 16,
  kEarlyRows = 17,
};

std::string_view MessageTypeName(MessageType type);

struct FrameHeader {
  MessageType type = MessageType::kHeartbeat;
  uint64_t payload_bytes = 0;
  uint64_t request_id = 0;
  uint32_t timeout_ms = 0;
  uint32_t payload_crc32c = 0;
  uint64_t sequence = 0;      // of the frames of one session and direction: 1, 2, ...; 0: not numbered (link.h)
  uint64_t acknowledged = 0;  // all frames of the peer up to this one have come
};

void EncodeHeader(const FrameHeader& header, const JobToken& token, std::span<uint8_t, kFrameHeaderBytes> out);

// Errors: DataLoss (magic, checksum), Unimplemented (version), Unauthenticated (token), ResourceExhausted (length above
// payload_bytes_max), InvalidArgument (unknown type).
Result<FrameHeader> DecodeHeader(std::span<const uint8_t, kFrameHeaderBytes> bytes, const JobToken& token,
                                 int64_t payload_bytes_max);

// Uninitialised bytes on a 64-byte boundary, so that keys and rows are read in place. Movable; one owner.
class Buffer {
 public:
  Buffer() = default;
  explicit Buffer(size_t size_bytes);

  uint8_t* data() { return bytes_.get(); }
  const uint8_t* data() const { return bytes_.get(); }
  size_t size() const { return size_; }
  std::span<const uint8_t> span() const { return {bytes_.get(), size_}; }

 private:
  struct Free {
    void operator()(uint8_t* bytes) const;
  };
  std::unique_ptr<uint8_t[], Free> bytes_;
  size_t size_ = 0;
};

// ---- Messages

struct Hello {
  uint32_t worker = 0;
  uint32_t num_workers = 0;
  uint32_t server = 0;
  uint32_t num_servers = 0;
  uint32_t virtual_shards = 0;
  uint32_t num_tables = 0;
  uint64_t table_digest = 0;
  uint64_t session = 0;   // drawn by the worker's store; the same on each of its connections
  uint32_t epoch = 1;     // counts this session's connections to the server: only the greatest is served
  uint64_t received = 0;  // the last numbered frame of the server that came on earlier connections
  std::string host;       // for messages; at most 256 bytes
};

struct Welcome {
  int64_t applied = 0;    // the last applied step
  uint64_t received = 0;  // the last numbered frame of the worker's session that has come
};

// Save (without files), Load, and the answer Files (without a folder).
struct FilesMessage {
  int64_t step = 0;
  std::string folder;
  std::vector<DataFile> files;
};

struct OwnerStats {
  ServerLoad load;
  std::vector<TableStats> tables;          // by table
  std::vector<int64_t> rows_by_staleness;  // rows pulled in training, by the steps before theirs that they did not see
};

struct HeartbeatMessage {
  int64_t step = 0;       // last one applied (server) or seen (worker)
  uint64_t progress = 0;  // grows with each applied step, evaluation pull and checkpoint block
  uint64_t sent = 0;      // the last numbered frame sent before this one
};

Buffer EncodeHello(const Hello& hello);
Result<Hello> DecodeHello(std::span<const uint8_t> payload);

Buffer EncodeWelcome(const Welcome& welcome);
Result<Welcome> DecodeWelcome(std::span<const uint8_t> payload);

// Drain.
Buffer EncodeStep(int64_t step);
Result<int64_t> DecodeStep(std::span<const uint8_t> payload);

Buffer EncodeFiles(const FilesMessage& message);
Result<FilesMessage> DecodeFiles(std::span<const uint8_t> payload);

Buffer EncodeStats(const OwnerStats& stats);
Result<OwnerStats> DecodeStats(std::span<const uint8_t> payload);

Buffer EncodeHeartbeat(const HeartbeatMessage& heartbeat);
Result<HeartbeatMessage> DecodeHeartbeat(std::span<const uint8_t> payload);

// `status` is an error. Decoding gives it back in *error; a code that is not known becomes Internal.
Buffer EncodeError(const Status& status);
Status DecodeError(std::span<const uint8_t> payload, Status* error);

// ---- What both sides compute alike

// Of everything that makes rows: names, layouts, initializers, optimizers, seeds, limits.
uint64_t TableDigest(std::span<const TableSpec> tables);

// Server i of M owns the virtual shards [ShardBegin(i, M, V), ShardBegin(i + 1, M, V)).
inline int ShardBegin(int server, int num_servers, int virtual_shards) {
  return static_cast<int>(int64_t{server} * virtual_shards / num_servers);
}

}  // namespace weir
