// The messages that carry keys, weights and gradients, as bytes: Pull, Rows, Push (docs/protocol.md). As in protocol.h,
// nothing here trusts its input.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "base/status.h"
#include "embeddings/table_set.h"
#include "param_server/protocol.h"
#include "proto/job.pb.h"

namespace weir {

// How the rows of a table travel.
struct TableFormat {
  int dim = 0;
  WireConfig::Type pull = WireConfig::FLOAT32;
  WireConfig::Type push = WireConfig::FLOAT32;
  bool synchronous = true;  // its training pulls ask for all rows
};
std::vector<TableFormat> TableFormats(std::span<const TableSpec> tables);

// Bytes of num_keys vectors of `dim` values in a message: a multiple of 4, so that what follows is aligned.
uint64_t ValuesBytes(WireConfig::Type type, uint64_t num_keys, int dim);
// Those behind the last value.
void ZeroPadding(WireConfig::Type type, uint64_t num_keys, int dim, uint8_t* values);

// Keys of one table, within the payload they were decoded from.
struct TableKeys {
  int table = 0;
  std::span<const uint64_t> keys;
  size_t num_unasked = 0;  // the last ones of a training pull, named for its push alone

  std::span<const uint64_t> asked() const { return keys.first(keys.size() - num_unasked); }
};

struct PullMessage {
  int64_t step = 0;
  PullKind kind = PullKind::kTraining;
  std::vector<TableKeys> tables;
};

struct PushMessage {
  int64_t step = 0;
  uint64_t sequence = 0;
  int64_t unix_ms = 0;  // when it was pushed; worker 0's is the step's
  uint32_t worker = 0;
  // It carries no keys: they are those of the worker's pull of the step, in its order.
  bool as_pulled = false;
  std::vector<TablePush>
      tables{};     // keys within the payload or the pull's; gradients within the payload or in `values`
  Buffer values{};  // float32 of the tables whose gradients travel otherwise
};

// Where the keys and values of a message lie, so that they can be written in place: EncodePull and EncodePush write
// everything else; the sizes are given. Keys of all tables follow one another, then (pushes) each table's gradients in
// ValuesBytes.
struct TableCount {
  int table = 0;
  size_t num_keys = 0;
  size_t num_unasked = 0;  // of them, in a pull, the last ones whose rows are not to come
};
struct KeyedBuffer {
  Buffer payload;
  uint64_t* keys = nullptr;   // null in a push as pulled
  uint8_t* values = nullptr;  // pushes only
};
KeyedBuffer EncodePull(int64_t step, PullKind kind, std::span<const TableCount> tables);
// Of `push` reads all but tables and values.
KeyedBuffer EncodePush(const PushMessage& push, std::span<const TableCount> tables,
                       std::span<const TableFormat> formats);

// The payload must be 8-byte aligned and outlive the result. formats: of each table of the job. Each table at most
// once.
Result<PullMessage> DecodePull(std::span<const uint8_t> payload, std::span<const TableFormat> formats);
// Of a push all but tables and values, for a payload that may be a Push's.
Result<PushMessage> DecodePushHeader(std::span<const uint8_t> payload);
// pulled: the worker's training pull of the push's step, null if there is none; must outlive the result.
Result<PushMessage> DecodePush(std::span<const uint8_t> payload, std::span<const TableFormat> formats,
                               const PullMessage* pulled);

// Bytes of the Rows that answer a pull: the ValuesBytes of the keys asked for, of each of its tables.
uint64_t RowsBytes(const PullMessage& pull, std::span<const TableFormat> formats);

// Rows of a training pull that come ahead of the others (docs/consistency.md, "Look-ahead").
struct EarlyRowsBuffer {
  Buffer payload;
  uint8_t* values = nullptr;  // to be written in place: each table's in ValuesBytes
};
// positions: by table of the pull, ascending, of keys asked for.
EarlyRowsBuffer EncodeEarlyRows(const PullMessage& pull, std::span<const std::vector<uint32_t>> positions,
                                std::span<const TableFormat> formats);

struct EarlyRows {
  std::vector<std::vector<uint32_t>> positions;  // by table of the pull, ascending
  std::span<const uint8_t> values;               // within the payload
};
// pulled: what was asked for. DataLoss where the payload's length is another than its bitmap's bits call for.
Result<EarlyRows> DecodeEarlyRows(std::span<const uint8_t> payload, std::span<const TableCount> pulled,
                                  std::span<const TableFormat> formats);

// The positions in [0, size) that are not among the given ones, which ascend.
std::vector<uint32_t> OtherPositions(std::span<const uint32_t> positions, size_t size);

// What a training step of one worker costs at one server, in whole frames: a Pull, its Rows, and the Push that names
// the pull's keys.
struct StepBytes {
  uint64_t sent = 0;  // by the worker
  uint64_t received = 0;
};
// tables: those with keys in the worker's batch, with the number of their keys that are the server's, 0 too.
StepBytes BytesOfStep(std::span<const TableCount> tables, std::span<const TableFormat> formats);

}  // namespace weir
