#include "embeddings/table_limits.h"

#include <glog/logging.h>

#include "embeddings/admission.h"
#include "embeddings/eviction.h"
#include "embeddings/table.h"
#include "proto/memory_size.h"

namespace weir {
namespace {

int64_t RecordBytes(const RowLayout& layout) {
  return static_cast<int64_t>(sizeof(RowRecord) + layout.state_width() * sizeof(float));
}

}  // namespace

TableLimits MakeTableLimits(const TableConfig& table) {
  TableLimits limits;
  if (table.has_memory()) {
    const Result<int64_t> memory = ParseMemory(table.memory());
    CHECK(memory.ok()) << table.name() << ": " << memory.status().ToString();
    limits.memory_bytes = *memory;
  }
  limits.admission = table.admission();
  limits.eviction = table.eviction();
  limits.disk = table.has_disk();
  if (table.has_admission()) limits.not_admitted = table.admission().not_admitted();
  return limits;
}

TableLimits ReadOnly(const TableLimits& limits) {
  TableLimits read_only;
  read_only.not_admitted = limits.not_admitted;
  if (limits.disk) {
    read_only.disk = true;
    read_only.memory_bytes = limits.memory_bytes;
  }
  return read_only;
}

int64_t TombstoneBytesMax(const TableLimits& limits) {
  const bool drops = limits.eviction.when_full() != EvictionConfig::REFUSE || SweepRule(limits.eviction).active();
  return drops ? limits.memory_bytes / 64 : 0;
}

int64_t StoredRowBytes(const RowLayout& layout) { return layout.weight_bytes() + RecordBytes(layout); }

std::optional<int64_t> ShardRowsMax(const TableLimits& limits, const RowLayout& layout, int virtual_shards) {
  if (limits.shard_rows_max) return limits.shard_rows_max;
  if (limits.memory_bytes == 0 || limits.disk) return std::nullopt;
  BudgetTerms terms;
  terms.memory_bytes = limits.memory_bytes;
  terms.filter_bytes = FilterBytesMax(limits.admission, virtual_shards) + TombstoneBytesMax(limits);
  terms.weight_bytes = layout.weight_bytes();
  terms.record_bytes = RecordBytes(layout);
  terms.virtual_shards = virtual_shards;
  return ShardRowsMax(terms);
}

}  // namespace weir
