#include "param_server/protocol.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <bit>
#include <cerrno>
#include <cstring>
#include <new>

#include <fmt/format.h>
#include <xxhash.h>

#include "base/crc32c.h"
#include "param_server/message_bytes.h"

namespace weir {
namespace {

constexpr uint8_t kMagic[4] = {'W', 'E', 'I', 'R'};
constexpr size_t kBufferAlignment = 64;
constexpr size_t kHostBytesMax = 256;
constexpr size_t kFolderBytesMax = 65536;
constexpr size_t kErrorBytesMax = 65536;

// Time does not depend on where the bytes differ.
bool ConstantTimeEqual(const uint8_t* a, const uint8_t* b, size_t size_bytes) {
  volatile uint8_t difference = 0;
  for (size_t i = 0; i < size_bytes; ++i) difference = difference | (a[i] ^ b[i]);
  return difference == 0;
}

}  // namespace

Result<JobToken> MakeToken() {
  const int file = open("/dev/urandom", O_RDONLY | O_CLOEXEC);
  if (file < 0) return ErrnoStatus(errno, "/dev/urandom");
  JobToken token{};
  const ssize_t got = read(file, token.data(), token.size());
  close(file);
  if (got != static_cast<ssize_t>(token.size())) return Unavailable("/dev/urandom gave too few bytes");
  return token;
}

std::string_view MessageTypeName(MessageType type) {
  static constexpr std::string_view kNames[] = {"?",     "Hello",     "Welcome", "Pull",     "Rows",  "Push",
                                                "Drain", "Save",      "Load",    "Files",    "Stats", "StatsReply",
                                                "Done",  "Heartbeat", "Goodbye", "Shutdown", "Error", "EarlyRows"};
  const size_t index = static_cast<size_t>(type);
  return index < std::size(kNames) ? kNames[index] : kNames[0];
}

void EncodeHeader(const FrameHeader& header, const JobToken& token, std::span<uint8_t, kFrameHeaderBytes> out) {
  MessageWriter writer(out.data());
  writer.PutBytes({reinterpret_cast<const char*>(kMagic), sizeof(kMagic)});
  writer.Put(kProtocolVersion);
  writer.Put(static_cast<uint16_t>(header.type));
  writer.Put(header.payload_bytes);
  writer.Put(header.request_id);
  writer.Put(header.timeout_ms);
  writer.Put(header.payload_crc32c);
  writer.PutBytes({reinterpret_cast<const char*>(token.data()), token.size()});
  writer.Put(header.sequence);
  writer.Put(header.acknowledged);
  writer.Put<uint32_t>(0);
  writer.Put(Crc32c(out.data(), kFrameHeaderBytes - sizeof(uint32_t)));
}

Result<FrameHeader> DecodeHeader(std::span<const uint8_t, kFrameHeaderBytes> bytes, const JobToken& token,
                                 int64_t payload_bytes_max) {
  if (std::memcmp(bytes.data(), kMagic, sizeof(kMagic)) != 0) {
    return DataLoss("not a frame: it does not begin with \"WEIR\"");
  }
  MessageReader reader(bytes.subspan(sizeof(kMagic)));
  const uint16_t version = reader.Get<uint16_t>();
  if (version != kProtocolVersion) {
    return Unimplemented(fmt::format("protocol version: expected {}, found {}", kProtocolVersion, version));
  }
  const uint16_t type = reader.Get<uint16_t>();
  FrameHeader header;
  header.type = static_cast<MessageType>(type);
  header.payload_bytes = reader.Get<uint64_t>();
  header.request_id = reader.Get<uint64_t>();
  header.timeout_ms = reader.Get<uint32_t>();
  header.payload_crc32c = reader.Get<uint32_t>();
  const auto token_bytes = reader.GetBytes(token.size());
  header.sequence = reader.Get<uint64_t>();
  header.acknowledged = reader.Get<uint64_t>();
  reader.Get<uint32_t>();
  const uint32_t crc = reader.Get<uint32_t>();
  const uint32_t expected_crc = Crc32c(bytes.data(), kFrameHeaderBytes - sizeof(uint32_t));
  if (crc != expected_crc) {
    return DataLoss(fmt::format("CRC32C of a frame's header: expected {:08x}, found {:08x}", expected_crc, crc));
  }
  // After the checksum, so that a damaged frame is not taken for another job's.
  if (!ConstantTimeEqual(token_bytes.data(), token.data(), token.size())) {
    return Unauthenticated("the frame carries another job's token");
  }
  if (type < static_cast<uint16_t>(MessageType::kHello) || type > static_cast<uint16_t>(MessageType::kEarlyRows)) {
    return InvalidArgument(fmt::format("unknown message type {}", type));
  }
  if (header.payload_bytes > static_cast<uint64_t>(payload_bytes_max)) {
    return ResourceExhausted(fmt::format("{} frame of {} bytes: at most {} are allowed here (cluster.max_frame_bytes)",
                                         MessageTypeName(header.type), header.payload_bytes, payload_bytes_max));
  }
  return header;
}

Buffer::Buffer(size_t size_bytes) : size_(size_bytes) {
  if (size_bytes == 0) return;
  bytes_.reset(static_cast<uint8_t*>(::operator new[](size_bytes, std::align_val_t{kBufferAlignment})));
}

void Buffer::Free::operator()(uint8_t* bytes) const { ::operator delete[](bytes, std::align_val_t{kBufferAlignment}); }

Buffer EncodeHello(const Hello& hello) {
  const std::string_view host = std::string_view(hello.host).substr(0, kHostBytesMax);
  Buffer payload(8 * sizeof(uint32_t) + 3 * sizeof(uint64_t) + host.size());
  MessageWriter writer(payload.data());
  writer.Put(hello.worker);
  writer.Put(hello.num_workers);
  writer.Put(hello.server);
  writer.Put(hello.num_servers);
  writer.Put(hello.virtual_shards);
  writer.Put(hello.num_tables);
  writer.Put(hello.table_digest);
  writer.Put(hello.session);
  writer.Put(hello.received);
  writer.Put(hello.epoch);
  writer.Put(static_cast<uint32_t>(host.size()));
  writer.PutBytes(host);
  return payload;
}

Result<Hello> DecodeHello(std::span<const uint8_t> payload) {
  MessageReader reader(payload);
  Hello hello;
  hello.worker = reader.Get<uint32_t>();
  hello.num_workers = reader.Get<uint32_t>();
  hello.server = reader.Get<uint32_t>();
  hello.num_servers = reader.Get<uint32_t>();
  hello.virtual_shards = reader.Get<uint32_t>();
  hello.num_tables = reader.Get<uint32_t>();
  hello.table_digest = reader.Get<uint64_t>();
  hello.session = reader.Get<uint64_t>();
  hello.received = reader.Get<uint64_t>();
  hello.epoch = reader.Get<uint32_t>();
  const uint32_t host_bytes = reader.Get<uint32_t>();
  if (host_bytes > kHostBytesMax) {
    return InvalidArgument(
        fmt::format("Hello message with a host name of {} bytes, at most {}", host_bytes, kHostBytesMax));
  }
  hello.host = reader.GetString(host_bytes);
  WEIR_RETURN_IF_ERROR(reader.End("Hello"));
  // It goes to logs.
  for (char& c : hello.host) {
    if (c <= ' ' || c > '~') c = '?';
  }
  return hello;
}

Buffer EncodeWelcome(const Welcome& welcome) {
  Buffer payload(sizeof(int64_t) + sizeof(uint64_t));
  MessageWriter writer(payload.data());
  writer.Put(welcome.applied);
  writer.Put(welcome.received);
  return payload;
}

Result<Welcome> DecodeWelcome(std::span<const uint8_t> payload) {
  MessageReader reader(payload);
  Welcome welcome;
  welcome.applied = reader.Get<int64_t>();
  welcome.received = reader.Get<uint64_t>();
  WEIR_RETURN_IF_ERROR(reader.End("Welcome"));
  if (welcome.applied < 0) return InvalidArgument(fmt::format("Welcome message names step {}", welcome.applied));
  return welcome;
}

Buffer EncodeStep(int64_t step) {
  Buffer payload(sizeof(step));
  MessageWriter(payload.data()).Put(step);
  return payload;
}

Result<int64_t> DecodeStep(std::span<const uint8_t> payload) {
  MessageReader reader(payload);
  const int64_t step = reader.Get<int64_t>();
  WEIR_RETURN_IF_ERROR(reader.End("step"));
  if (step < 0) return InvalidArgument(fmt::format("message names step {}", step));
  return step;
}

Buffer EncodeFiles(const FilesMessage& message) {
  Manifest manifest;
  for (const DataFile& file : message.files) *manifest.add_files() = file;
  const std::string files = manifest.SerializeAsString();
  Buffer payload(sizeof(int64_t) + 2 * sizeof(uint32_t) + message.folder.size() + files.size());
  MessageWriter writer(payload.data());
  writer.Put(message.step);
  writer.Put(static_cast<uint32_t>(message.folder.size()));
  writer.Put(static_cast<uint32_t>(files.size()));
  writer.PutBytes(message.folder);
  writer.PutBytes(files);
  return payload;
}

Result<FilesMessage> DecodeFiles(std::span<const uint8_t> payload) {
  MessageReader reader(payload);
  FilesMessage message;
  message.step = reader.Get<int64_t>();
  const uint32_t folder_bytes = reader.Get<uint32_t>();
  const uint32_t files_bytes = reader.Get<uint32_t>();
  if (folder_bytes > kFolderBytesMax) {
    return InvalidArgument(fmt::format("Files message with a path of {} bytes", folder_bytes));
  }
  message.folder = reader.GetString(folder_bytes);
  const auto files = reader.GetBytes(files_bytes);
  WEIR_RETURN_IF_ERROR(reader.End("Files"));
  if (message.step < 0) return InvalidArgument(fmt::format("Files message names step {}", message.step));
  Manifest manifest;
  if (files.size() > INT32_MAX || !manifest.ParseFromArray(files.data(), static_cast<int>(files.size()))) {
    return DataLoss("Files message: its list of files cannot be parsed");
  }
  message.files.assign(manifest.files().begin(), manifest.files().end());
  return message;
}

Buffer EncodeStats(const OwnerStats& stats) {
  Buffer payload(sizeof(ServerLoad) + (2 + stats.rows_by_staleness.size()) * sizeof(int64_t) +
                 stats.tables.size() * sizeof(TableStats));
  MessageWriter writer(payload.data());
  writer.Put(stats.load);
  writer.Put(static_cast<uint64_t>(stats.tables.size()));
  for (const TableStats& table : stats.tables) writer.Put(table);
  writer.Put(static_cast<uint64_t>(stats.rows_by_staleness.size()));
  for (const int64_t rows : stats.rows_by_staleness) writer.Put(rows);
  return payload;
}

Result<OwnerStats> DecodeStats(std::span<const uint8_t> payload) {
  MessageReader reader(payload);
  OwnerStats stats;
  stats.load = reader.Get<ServerLoad>();
  const uint64_t num_tables = reader.Get<uint64_t>();
  if (num_tables > payload.size() / sizeof(TableStats)) {
    return InvalidArgument(fmt::format("StatsReply message: {} tables in {} bytes", num_tables, payload.size()));
  }
  for (uint64_t i = 0; i < num_tables; ++i) stats.tables.push_back(reader.Get<TableStats>());
  const uint64_t num_staleness = reader.Get<uint64_t>();
  if (num_staleness > reader.left() / sizeof(int64_t)) {
    return InvalidArgument(
        fmt::format("StatsReply message: {} counts of rows in {} bytes", num_staleness, payload.size()));
  }
  for (uint64_t i = 0; i < num_staleness; ++i) stats.rows_by_staleness.push_back(reader.Get<int64_t>());
  WEIR_RETURN_IF_ERROR(reader.End("StatsReply"));
  return stats;
}

Buffer EncodeHeartbeat(const HeartbeatMessage& heartbeat) {
  Buffer payload(sizeof(int64_t) + 2 * sizeof(uint64_t));
  MessageWriter writer(payload.data());
  writer.Put(heartbeat.step);
  writer.Put(heartbeat.progress);
  writer.Put(heartbeat.sent);
  return payload;
}

Result<HeartbeatMessage> DecodeHeartbeat(std::span<const uint8_t> payload) {
  MessageReader reader(payload);
  HeartbeatMessage heartbeat;
  heartbeat.step = reader.Get<int64_t>();
  heartbeat.progress = reader.Get<uint64_t>();
  heartbeat.sent = reader.Get<uint64_t>();
  WEIR_RETURN_IF_ERROR(reader.End("Heartbeat"));
  return heartbeat;
}

Buffer EncodeError(const Status& status) {
  const std::string_view text = std::string_view(status.message()).substr(0, kErrorBytesMax);
  Buffer payload(2 * sizeof(uint32_t) + text.size());
  MessageWriter writer(payload.data());
  writer.Put(static_cast<uint32_t>(status.code()));
  writer.Put(static_cast<uint32_t>(text.size()));
  writer.PutBytes(text);
  return payload;
}

Status DecodeError(std::span<const uint8_t> payload, Status* error) {
  MessageReader reader(payload);
  const uint32_t code = reader.Get<uint32_t>();
  const uint32_t text_bytes = reader.Get<uint32_t>();
  if (text_bytes > kErrorBytesMax) return InvalidArgument(fmt::format("Error message of {} bytes", text_bytes));
  std::string text = reader.GetString(text_bytes);
  WEIR_RETURN_IF_ERROR(reader.End("Error"));
  const bool known = code >= static_cast<uint32_t>(StatusCode::kInvalidArgument) &&
                     code <= static_cast<uint32_t>(StatusCode::kUnauthenticated);
  *error = Status(known ? static_cast<StatusCode>(code) : StatusCode::kInternal, std::move(text));
  return Status();
}

uint64_t TableDigest(std::span<const TableSpec> tables) {
  std::string text;
  for (const TableSpec& table : tables) {
    text += fmt::format("{}\n{}\n{}\n", table.name, table.layout.dim, table.seed);
    for (const StateColumn& column : table.layout.state) {
      text += fmt::format("{} {} {}\n", column.name, column.width, std::bit_cast<uint32_t>(column.initial));
    }
    text += table.initializer.ShortDebugString() + "\n" + table.optimizer.ShortDebugString() + "\n";
    const TableLimits& limits = table.limits;
    text += fmt::format("{} {} {} {}\n", limits.memory_bytes, limits.disk, static_cast<int>(limits.not_admitted),
                        limits.allow_list == nullptr ? 0 : limits.allow_list->digest());
    text += limits.admission.ShortDebugString() + "\n" + limits.eviction.ShortDebugString() + "\n";
    text += fmt::format("{} {} {} {}\n", static_cast<int>(table.wire.pull()), static_cast<int>(table.wire.push()),
                        table.consistency.staleness, table.consistency.async);
  }
  return XXH3_64bits(text.data(), text.size());
}

}  // namespace weir
