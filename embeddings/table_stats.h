// TableStats: what a table holds and what became of the keys that came to it.
#pragma once

#include <cstdint>

namespace weir {

// Of one owner, or summed over owners. Events are counted since the process started. All fields are on the wire in this
// order (docs/protocol.md).
struct TableStats {
  int64_t rows = 0;
  int64_t bytes = 0;            // index, rows, state, filter
  int64_t admitted = 0;         // keys that got a row
  int64_t not_admitted = 0;     // pushes of a key that admission kept out, once per step
  int64_t refused = 0;          // the same for admitted keys that found their virtual shard full
  int64_t evicted_full = 0;     // rows dropped to make room
  int64_t evicted_expired = 0;  // by ttl_steps or ttl_s
  int64_t evicted_norm = 0;     // by min_norm
  int64_t memory_hits = 0;      // with a disk: keys with a row that a step found in memory
  int64_t disk_hits = 0;        // and those whose row it had to bring from disk
  int64_t disk_rows = 0;        // rows that are on disk only; `rows` counts them too
  int64_t disk_bytes = 0;       // of files, about

  TableStats& operator+=(const TableStats& other) {
    rows += other.rows;
    bytes += other.bytes;
    admitted += other.admitted;
    not_admitted += other.not_admitted;
    refused += other.refused;
    evicted_full += other.evicted_full;
    evicted_expired += other.evicted_expired;
    evicted_norm += other.evicted_norm;
    memory_hits += other.memory_hits;
    disk_hits += other.disk_hits;
    disk_rows += other.disk_rows;
    disk_bytes += other.disk_bytes;
    return *this;
  }
  bool operator==(const TableStats&) const = default;
};
static_assert(sizeof(TableStats) == 12 * sizeof(int64_t), "it goes as it is");

}  // namespace weir
