// PullCall: a pull of all tables from all servers, and where the rows of each belong.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "param_server/client/key_partition.h"
#include "param_server/client/servers.h"
#include "param_server/row_messages.h"

namespace weir {

// Made by the store's thread; OnRows comes on the I/O thread. Kept after a training pull until its step is pushed: the
// push then has its order of keys.
class PullCall : public Call {
 public:
  // owners and formats outlive the call.
  PullCall(int64_t step, PullKind kind, const ShardOwners* owners, std::span<const TableFormat> formats)
      : Call(MessageType::kPull, step), kind(kind), partition(owners), formats_(formats), late_(owners->num_servers) {}

  // Of the Rows a server answers with, if none come early.
  size_t rows_bytes(int server) const;
  Status OnRows(int server, std::span<const uint8_t> payload) override;
  Status OnEarlyRows(int server, std::span<const uint8_t> payload) override;

  // The colocated server gets requests for, and fills, local_rows: float32, one table after the other.
  void MakeLocalRows(int server);
  std::vector<TablePull> LocalPulls(int server);
  // Brings local_rows to their place, rounded as if they had travelled, and lets them go.
  void ScatterLocalRows(int server);

  // Whether a push of these tables has this pull's keys: the same spans, which the store's caller has left as they
  // were.
  bool HasKeysOf(std::span<const TablePush> pushes) const;

  const PullKind kind;
  KeyPartition partition;
  std::vector<TablePull> tables;
  Buffer local_payload;                  // holds the colocated server's keys
  const uint64_t* local_keys = nullptr;  // of all tables, in it
  Buffer local_rows;
  // Of HotRows: by table, the positions of rows to keep; and the round in which the pull began.
  std::vector<std::vector<uint32_t>> wanted;
  uint64_t round = 0;

 private:
  // positions: by table, within the keys that go to the server.
  void ScatterSome(int server, std::span<const std::vector<uint32_t>> positions, const uint8_t* in);
  Status OnLateRows(int server, std::span<const uint8_t> payload);

  const std::span<const TableFormat> formats_;
  // By server, if some rows came early: the positions of the others, by table.
  std::vector<std::vector<std::vector<uint32_t>>> late_;
};

// Keys, or rows [.., dim], of one table that go to a server, one after the other.
void GatherKeys(const KeyPartition& partition, int server, size_t i, std::span<const uint64_t> keys, uint64_t* out);
void GatherRows(const KeyPartition& partition, int server, size_t i, const float* rows, int dim, WireConfig::Type type,
                uint8_t* out);

}  // namespace weir
