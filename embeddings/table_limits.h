// TableLimits: which keys of a table get rows, which rows are dropped, and how many there may be.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>

#include "embeddings/key_set.h"
#include "embeddings/row_layout.h"
#include "proto/job.pb.h"

namespace weir {

// The limits of a table, as its job says.
struct TableLimits {
  int64_t memory_bytes = 0;  // over all owners; 0: none
  // The most rows of a virtual shard, in place of what follows from the memory and the layout.
  std::optional<int64_t> shard_rows_max;
  AdmissionConfig admission;
  EvictionConfig eviction;
  bool disk = false;                         // rows beyond the memory go to disk: the table is never full
  std::shared_ptr<const KeySet> allow_list;  // of admission.allow_list
  // What a key without a row reads that gets none: INITIAL where there is no admission.
  AdmissionConfig::Reads not_admitted = AdmissionConfig::INITIAL;
};

// Of a table of a job whose rules hold (proto/table_rules.h), without the keys of an allow-list, which the caller
// reads.
TableLimits MakeTableLimits(const TableConfig& table);

// The same without what adds or drops rows, for a table that is only read: keys without a row still read what they did,
// and what memory cannot hold still is on disk.
TableLimits ReadOnly(const TableLimits& limits);

// Of the memory of a table that may drop rows: kept for the keys it dropped since the last commit.
int64_t TombstoneBytesMax(const TableLimits& limits);

// Weights and record of a row.
int64_t StoredRowBytes(const RowLayout& layout);

// The most rows a virtual shard of a table with these limits may have; nothing where it may grow. 0 when memory is too
// small for a row a shard.
std::optional<int64_t> ShardRowsMax(const TableLimits& limits, const RowLayout& layout, int virtual_shards);

}  // namespace weir
