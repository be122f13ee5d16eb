#include "param_server/row_messages.h"

#include <algorithm>
#include <cstring>

#include <fmt/format.h>

#include "param_server/message_bytes.h"
#include "param_server/wire_values.h"

namespace weir {
namespace {

constexpr size_t kPullHeaderBytes = 16;
constexpr size_t kPushHeaderBytes = 40;
constexpr size_t kTableEntryBytes = 16;
constexpr uint32_t kWithKeys = 0;
constexpr uint32_t kAsPulled = 1;

uint64_t KeysBytes(std::span<const TableCount> tables) {
  uint64_t keys = 0;
  for (const TableCount& table : tables) keys += table.num_keys;
  return keys * sizeof(uint64_t);
}

void PutTables(MessageWriter* writer, std::span<const TableCount> tables) {
  for (const TableCount& table : tables) {
    writer->Put<uint32_t>(table.table);
    writer->Put(static_cast<uint32_t>(table.num_unasked));
    writer->Put<uint64_t>(table.num_keys);
  }
}

// The table entries of a Pull or Push, checked: known tables, each once, all keys within the payload.
Result<std::vector<TableCount>> GetTables(MessageReader* reader, uint32_t num_tables, size_t tables_of_job,
                                          std::string_view what) {
  if (num_tables > tables_of_job) {
    return InvalidArgument(fmt::format("{} message has {} tables, the job {}", what, num_tables, tables_of_job));
  }
  std::vector<TableCount> tables;
  std::vector<bool> seen(tables_of_job);
  tables.reserve(num_tables);
  uint64_t keys_max = reader->left() / sizeof(uint64_t);
  for (uint32_t i = 0; i < num_tables; ++i) {
    const uint32_t table = reader->Get<uint32_t>();
    const uint32_t num_unasked = reader->Get<uint32_t>();
    const uint64_t num_keys = reader->Get<uint64_t>();
    if (reader->torn()) return DataLoss(fmt::format("{} message is cut short", what));
    if (table >= tables_of_job) {
      return InvalidArgument(fmt::format("{} message names table {} of {}", what, table, tables_of_job));
    }
    if (seen[table]) return InvalidArgument(fmt::format("{} message names table {} twice", what, table));
    seen[table] = true;
    if (num_keys > keys_max) return DataLoss(fmt::format("{} message is cut short", what));
    if (num_unasked > num_keys) {
      return InvalidArgument(
          fmt::format("{} message leaves {} of the {} keys of table {} unasked", what, num_unasked, num_keys, table));
    }
    keys_max -= num_keys;
    tables.push_back({static_cast<int>(table), static_cast<size_t>(num_keys), num_unasked});
  }
  return tables;
}

// Only where a copy may stand for a row that is pushed: which rows of a synchronous table come early follows from what
// all workers ask for.
Status CheckUnasked(const TableCount& table, PullKind kind, std::span<const TableFormat> formats) {
  if (table.num_unasked == 0) return Status();
  if (kind == PullKind::kTraining && !formats[table.table].synchronous) return Status();
  return InvalidArgument(fmt::format("Pull message leaves {} keys of table {} unasked: expected 0 {}",
                                     table.num_unasked, table.table,
                                     kind == PullKind::kTraining ? "of a synchronous table" : "in an evaluation"));
}

std::span<const uint64_t> GetKeys(MessageReader* reader, size_t num_keys) {
  const auto bytes = reader->GetBytes(uint64_t{num_keys} * sizeof(uint64_t));
  return {reinterpret_cast<const uint64_t*>(bytes.data()), bytes.size() / sizeof(uint64_t)};
}

Status CheckAligned(std::span<const uint8_t> payload) {
  if (reinterpret_cast<uintptr_t>(payload.data()) % alignof(uint64_t) != 0) {
    return Internal("the payload of a Pull or Push is not aligned to 8 bytes");
  }
  return Status();
}

// The gradients of push->tables, whose keys are known, follow. float32 stays where it is.
Status GetGradients(MessageReader* reader, std::span<const TableFormat> formats, PushMessage* push) {
  std::vector<std::span<const uint8_t>> bytes;
  uint64_t converted = 0;
  for (const TablePush& table : push->tables) {
    const TableFormat& format = formats[table.table];
    // No overflow: the keys lie in memory, and a dim is at most 4096.
    bytes.push_back(reader->GetBytes(ValuesBytes(format.push, table.keys.size(), format.dim)));
    if (format.push != WireConfig::FLOAT32) converted += table.keys.size() * format.dim;
  }
  WEIR_RETURN_IF_ERROR(reader->End("Push"));
  push->values = Buffer(converted * sizeof(float));
  float* out = reinterpret_cast<float*>(push->values.data());
  for (size_t i = 0; i < push->tables.size(); ++i) {
    TablePush& table = push->tables[i];
    const TableFormat& format = formats[table.table];
    if (format.push == WireConfig::FLOAT32) {
      table.gradients = reinterpret_cast<const float*>(bytes[i].data());
      continue;
    }
    const size_t n = table.keys.size() * format.dim;
    DecodeValues(format.push, bytes[i].data(), n, out);
    table.gradients = out;
    out += n;
  }
  return Status();
}

// A multiple of 8, so that values are aligned.
uint64_t BitmapBytes(uint64_t num_keys) { return (num_keys + 63) / 64 * 8; }

}  // namespace

std::vector<TableFormat> TableFormats(std::span<const TableSpec> tables) {
  std::vector<TableFormat> formats;
  for (const TableSpec& table : tables) {
    formats.push_back({table.layout.dim, table.wire.pull(), table.wire.push(), table.consistency.synchronous()});
  }
  return formats;
}

uint64_t ValuesBytes(WireConfig::Type type, uint64_t num_keys, int dim) {
  return (num_keys * dim * WireValueBytes(type) + 3) / 4 * 4;
}

void ZeroPadding(WireConfig::Type type, uint64_t num_keys, int dim, uint8_t* values) {
  const uint64_t used = num_keys * dim * WireValueBytes(type);
  const uint64_t padding = ValuesBytes(type, num_keys, dim) - used;
  if (padding > 0) std::memset(values + used, 0, padding);
}

KeyedBuffer EncodePull(int64_t step, PullKind kind, std::span<const TableCount> tables) {
  const size_t head_bytes = kPullHeaderBytes + tables.size() * kTableEntryBytes;
  KeyedBuffer result{.payload = Buffer(head_bytes + KeysBytes(tables))};
  MessageWriter writer(result.payload.data());
  writer.Put(step);
  writer.Put<uint32_t>(kind == PullKind::kEvaluation);
  writer.Put(static_cast<uint32_t>(tables.size()));
  PutTables(&writer, tables);
  result.keys = reinterpret_cast<uint64_t*>(writer.position());
  return result;
}

KeyedBuffer EncodePush(const PushMessage& push, std::span<const TableCount> tables,
                       std::span<const TableFormat> formats) {
  uint64_t head_bytes = kPushHeaderBytes, keys_bytes = 0, values_bytes = 0;
  if (!push.as_pulled) {
    head_bytes += tables.size() * kTableEntryBytes;
    keys_bytes = KeysBytes(tables);
  }
  for (const TableCount& table : tables) {
    const TableFormat& format = formats[table.table];
    values_bytes += ValuesBytes(format.push, table.num_keys, format.dim);
  }
  KeyedBuffer result{.payload = Buffer(head_bytes + keys_bytes + values_bytes)};
  MessageWriter writer(result.payload.data());
  writer.Put(push.step);
  writer.Put(push.sequence);
  writer.Put(push.unix_ms);
  writer.Put(push.worker);
  writer.Put(push.as_pulled ? kAsPulled : kWithKeys);
  writer.Put(push.as_pulled ? 0u : static_cast<uint32_t>(tables.size()));
  writer.Put<uint32_t>(0);
  if (!push.as_pulled) {
    PutTables(&writer, tables);
    result.keys = reinterpret_cast<uint64_t*>(writer.position());
  }
  result.values = writer.position() + keys_bytes;
  uint8_t* values = result.values;
  for (const TableCount& table : tables) {
    const TableFormat& format = formats[table.table];
    ZeroPadding(format.push, table.num_keys, format.dim, values);
    values += ValuesBytes(format.push, table.num_keys, format.dim);
  }
  return result;
}

Result<PullMessage> DecodePull(std::span<const uint8_t> payload, std::span<const TableFormat> formats) {
  WEIR_RETURN_IF_ERROR(CheckAligned(payload));
  MessageReader reader(payload);
  PullMessage pull;
  pull.step = reader.Get<int64_t>();
  const uint32_t kind = reader.Get<uint32_t>();
  const uint32_t num_tables = reader.Get<uint32_t>();
  if (reader.torn()) return reader.End("Pull");
  if (pull.step < 1) return InvalidArgument(fmt::format("Pull message names step {}", pull.step));
  if (kind > 1) return InvalidArgument(fmt::format("Pull message has the unknown kind {}", kind));
  pull.kind = kind == 1 ? PullKind::kEvaluation : PullKind::kTraining;
  WEIR_ASSIGN_OR_RETURN(const auto tables, GetTables(&reader, num_tables, formats.size(), "Pull"));
  for (const TableCount& table : tables) {
    WEIR_RETURN_IF_ERROR(CheckUnasked(table, pull.kind, formats));
    pull.tables.push_back({table.table, GetKeys(&reader, table.num_keys), table.num_unasked});
  }
  WEIR_RETURN_IF_ERROR(reader.End("Pull"));
  return pull;
}

Result<PushMessage> DecodePushHeader(std::span<const uint8_t> payload) {
  MessageReader reader(payload.first(std::min(payload.size(), kPushHeaderBytes)));
  PushMessage push;
  push.step = reader.Get<int64_t>();
  push.sequence = reader.Get<uint64_t>();
  push.unix_ms = reader.Get<int64_t>();
  push.worker = reader.Get<uint32_t>();
  const uint32_t kind = reader.Get<uint32_t>();
  const uint32_t num_tables = reader.Get<uint32_t>();
  const uint32_t reserved = reader.Get<uint32_t>();
  WEIR_RETURN_IF_ERROR(reader.End("Push"));
  if (push.step < 1) return InvalidArgument(fmt::format("Push message names step {}", push.step));
  if (kind > kAsPulled || reserved != 0) {
    return InvalidArgument(fmt::format("Push message has the unknown kind {}, {}", kind, reserved));
  }
  push.as_pulled = kind == kAsPulled;
  if (push.as_pulled && num_tables != 0) return InvalidArgument("Push message without keys names tables");
  return push;
}

Result<PushMessage> DecodePush(std::span<const uint8_t> payload, std::span<const TableFormat> formats,
                               const PullMessage* pulled) {
  WEIR_RETURN_IF_ERROR(CheckAligned(payload));
  WEIR_ASSIGN_OR_RETURN(PushMessage push, DecodePushHeader(payload));
  MessageReader reader(payload.subspan(kPushHeaderBytes));
  if (push.as_pulled) {
    if (pulled == nullptr) {
      return FailedPrecondition(
          fmt::format("push of step {} without keys: no pull of the step is kept that would have them", push.step));
    }
    for (const TableKeys& table : pulled->tables) push.tables.push_back({table.table, table.keys, nullptr});
  } else {
    uint32_t num_tables;
    std::memcpy(&num_tables, payload.data() + kPushHeaderBytes - 2 * sizeof(uint32_t), sizeof(num_tables));
    WEIR_ASSIGN_OR_RETURN(const auto tables, GetTables(&reader, num_tables, formats.size(), "Push"));
    for (const TableCount& table : tables) {
      if (table.num_unasked != 0) {
        return InvalidArgument(fmt::format("Push message: the reserved field of table {} is {}, expected 0",
                                           table.table, table.num_unasked));
      }
      push.tables.push_back({table.table, GetKeys(&reader, table.num_keys), nullptr});
    }
  }
  WEIR_RETURN_IF_ERROR(GetGradients(&reader, formats, &push));
  return push;
}

uint64_t RowsBytes(const PullMessage& pull, std::span<const TableFormat> formats) {
  uint64_t bytes = 0;
  for (const TableKeys& table : pull.tables) {
    const TableFormat& format = formats[table.table];
    bytes += ValuesBytes(format.pull, table.asked().size(), format.dim);
  }
  return bytes;
}

EarlyRowsBuffer EncodeEarlyRows(const PullMessage& pull, std::span<const std::vector<uint32_t>> positions,
                                std::span<const TableFormat> formats) {
  uint64_t num_keys = 0, values_bytes = 0;
  for (size_t i = 0; i < pull.tables.size(); ++i) {
    const TableFormat& format = formats[pull.tables[i].table];
    num_keys += pull.tables[i].asked().size();
    values_bytes += ValuesBytes(format.pull, positions[i].size(), format.dim);
  }
  const uint64_t bitmap_bytes = BitmapBytes(num_keys);
  EarlyRowsBuffer result{.payload = Buffer(bitmap_bytes + values_bytes)};
  uint8_t* bitmap = result.payload.data();
  std::memset(bitmap, 0, bitmap_bytes);
  uint64_t first = 0;
  for (size_t i = 0; i < pull.tables.size(); ++i) {
    for (const uint32_t position : positions[i]) bitmap[(first + position) / 8] |= 1 << ((first + position) % 8);
    first += pull.tables[i].asked().size();
  }
  result.values = bitmap + bitmap_bytes;
  return result;
}

Result<EarlyRows> DecodeEarlyRows(std::span<const uint8_t> payload, std::span<const TableCount> pulled,
                                  std::span<const TableFormat> formats) {
  uint64_t num_keys = 0;
  for (const TableCount& table : pulled) num_keys += table.num_keys;
  const uint64_t bitmap_bytes = BitmapBytes(num_keys);
  if (payload.size() < bitmap_bytes) {
    return DataLoss(fmt::format("EarlyRows message of {} bytes for a pull of {} keys", payload.size(), num_keys));
  }
  EarlyRows early{.positions = std::vector<std::vector<uint32_t>>(pulled.size()),
                  .values = payload.subspan(bitmap_bytes)};
  uint64_t first = 0, values_bytes = 0;
  for (size_t i = 0; i < pulled.size(); ++i) {
    for (uint32_t position = 0; position < pulled[i].num_keys; ++position) {
      const uint64_t bit = first + position;
      if ((payload[bit / 8] >> (bit % 8) & 1) != 0) early.positions[i].push_back(position);
    }
    first += pulled[i].num_keys;
    const TableFormat& format = formats[pulled[i].table];
    values_bytes += ValuesBytes(format.pull, early.positions[i].size(), format.dim);
  }
  if (early.values.size() != values_bytes) {
    return DataLoss(
        fmt::format("EarlyRows message: expected {} bytes of rows, found {}", values_bytes, early.values.size()));
  }
  return early;
}

std::vector<uint32_t> OtherPositions(std::span<const uint32_t> positions, size_t size) {
  std::vector<uint32_t> others;
  others.reserve(size - positions.size());
  size_t next = 0;
  for (uint32_t i = 0; i < size; ++i) {
    if (next < positions.size() && positions[next] == i) {
      ++next;
    } else {
      others.push_back(i);
    }
  }
  return others;
}

StepBytes BytesOfStep(std::span<const TableCount> tables, std::span<const TableFormat> formats) {
  const size_t pull_bytes = kFrameHeaderBytes + kPullHeaderBytes + tables.size() * kTableEntryBytes;
  StepBytes bytes{.sent = pull_bytes + KeysBytes(tables) + kFrameHeaderBytes + kPushHeaderBytes,
                  .received = kFrameHeaderBytes};
  for (const TableCount& table : tables) {
    const TableFormat& format = formats[table.table];
    bytes.sent += ValuesBytes(format.push, table.num_keys, format.dim);
    bytes.received += ValuesBytes(format.pull, table.num_keys, format.dim);
  }
  return bytes;
}

}  // namespace weir
