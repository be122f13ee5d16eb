#include "embeddings/table.h"

#include <algorithm>
#include <bit>
#include <cstdlib>
#include <utility>

#include <glog/logging.h>

namespace weir {
namespace {

constexpr size_t kCacheLineBytes = 64;
// Big enough that a slab is nearly all huge pages whatever the stride.
constexpr size_t kSlabBytesMax = 16 << 20;
constexpr int64_t kRowsMax = (int64_t{1} << 32) - 1;

size_t RowStride(const RowLayout& layout) {
  return (sizeof(Row) + layout.width() * sizeof(float) + alignof(Row) - 1) / alignof(Row) * alignof(Row);
}

uint64_t* AllocateSlots(int log_capacity) {
  const size_t bytes = sizeof(uint64_t) << log_capacity;
  void* slots = std::aligned_alloc(kCacheLineBytes, bytes);
  CHECK(slots != nullptr) << "expected " << bytes << " bytes of memory for a table's index, the system has none";
  auto* begin = static_cast<uint64_t*>(slots);
  std::fill_n(begin, size_t{1} << log_capacity, 0);
  return begin;
}

}  // namespace

Table::Table(const RowLayout& layout, int virtual_shards)
    : log_shards_(std::countr_zero(static_cast<unsigned>(virtual_shards))),
      stride_(RowStride(layout)),
      segments_(virtual_shards),
      segment_rows_(virtual_shards) {
  CHECK(std::has_single_bit(static_cast<unsigned>(virtual_shards))) << virtual_shards;
  log_slab_rows_ = std::bit_width(std::max<size_t>(kSlabBytesMax / stride_, 1)) - 1;
  slab_mask_ = (uint32_t{1} << log_slab_rows_) - 1;
}

Table::~Table() {
  for (Segment segment : segments_) std::free(segment.slots());
}

int64_t Table::bytes() const {
  const int64_t directory = segments_.size() * (sizeof(Segment) + sizeof(uint32_t));
  if (slabs_.empty()) return index_bytes_ + directory;
  const int64_t full = static_cast<int64_t>(slabs_.size()) - 1;
  const int64_t last_bytes = (num_rows_ - (full << log_slab_rows_)) * stride_;
  const bool small = full == 0 && last_bytes <= static_cast<int64_t>(kHugePageBytes);
  const int64_t page = small ? kPageBytes : kHugePageBytes;
  const int64_t resident = std::min<int64_t>((last_bytes + page - 1) / page * page, slabs_.back().size_bytes());
  return index_bytes_ + directory + full * static_cast<int64_t>(slabs_.front().size_bytes()) + resident;
}

inline Row* Table::Candidate(const Probe& probe) const {
  if (probe.slots == nullptr) return nullptr;
  for (uint32_t at = probe.home;; at = (at + 1) & probe.mask) {
    const Slot slot = probe.slots[at];
    if (slot == 0) return nullptr;
    if (static_cast<uint32_t>(slot >> 32) == probe.tag) return RowAt(static_cast<uint32_t>(slot) - 1);
  }
}

// Two keys of a shard may have the same tag: goes on past those whose key is another.
Row* Table::FindSlow(const Probe& probe, uint64_t key) const {
  if (probe.slots == nullptr) return nullptr;
  for (uint32_t at = probe.home;; at = (at + 1) & probe.mask) {
    const Slot slot = probe.slots[at];
    if (slot == 0) return nullptr;
    if (static_cast<uint32_t>(slot >> 32) != probe.tag) continue;
    Row* row = RowAt(static_cast<uint32_t>(slot) - 1);
    if (row->key == key) return row;
  }
}

inline void Table::PrefetchRow(const Row* row) const {
  // Lines past the first few come by the hardware's own prefetch.
  const auto* p = reinterpret_cast<const char*>(row);
  for (size_t at = 0; at < std::min<size_t>(stride_, 4 * kCacheLineBytes); at += kCacheLineBytes) {
    __builtin_prefetch(p + at);
  }
  __builtin_prefetch(p + std::min<size_t>(stride_, 4 * kCacheLineBytes) - 1);
}

void Table::Find(std::span<const uint64_t> keys, const Row** rows) const {
  Probe probes[kBatch];
  for (size_t begin = 0; begin < keys.size(); begin += kBatch) {
    const size_t n = std::min<size_t>(kBatch, keys.size() - begin);
    for (size_t i = 0; i < n; ++i) {
      probes[i] = MakeProbe(keys[begin + i]);
      __builtin_prefetch(probes[i].slots + probes[i].home);
    }
    for (size_t i = 0; i < n; ++i) {
      const Row* row = Candidate(probes[i]);
      if (row != nullptr) PrefetchRow(row);
      rows[begin + i] = row;
    }
    for (size_t i = 0; i < n; ++i) {
      const uint64_t key = keys[begin + i];
      const Row*& row = rows[begin + i];
      if (row != nullptr && row->key != key) row = FindSlow(probes[i], key);
    }
  }
}

void Table::FindOrInsert(std::span<const uint64_t> keys, Row** rows, bool* inserted) {
  for (size_t begin = 0; begin < keys.size(); begin += kBatch) {
    const size_t n = std::min<size_t>(kBatch, keys.size() - begin);
    Find(keys.subspan(begin, n), const_cast<const Row**>(rows + begin));
    for (size_t i = begin; i < begin + n; ++i) {
      inserted[i] = false;
      if (rows[i] != nullptr) continue;
      // The same key may have been inserted earlier in this batch.
      rows[i] = FindSlow(MakeProbe(keys[i]), keys[i]);
      if (rows[i] != nullptr) continue;
      rows[i] = Insert(keys[i]);
      inserted[i] = true;
    }
  }
}

Row* Table::Insert(uint64_t key) {
  Probe probe = MakeProbe(key);
  // At most three quarters full: a miss then looks at a cache line or two.
  if (probe.slots == nullptr || segment_rows_[probe.shard] + 1 > (uint64_t{probe.mask} + 1) / 4 * 3) {
    Grow(probe.shard);
    probe = MakeProbe(key);
  }
  Row* row = NewRow(key);
  uint32_t at = probe.home;
  while (probe.slots[at] != 0) at = (at + 1) & probe.mask;
  probe.slots[at] = uint64_t{probe.tag} << 32 | static_cast<uint32_t>(num_rows_);
  ++segment_rows_[probe.shard];
  return row;
}

Row* Table::NewRow(uint64_t key) {
  CHECK_LT(num_rows_, kRowsMax) << "a table of one owner is full: use more servers";
  if ((num_rows_ & slab_mask_) == 0) {
    // Tables of few rows do without huge pages.
    slabs_.emplace_back(stride_ << log_slab_rows_, slabs_.empty() ? kHugePageBytes : 0);
  }
  Row* row = RowAt(static_cast<uint32_t>(num_rows_++));
  row->key = key;
  return row;
}

void Table::Grow(uint32_t shard) {
  const Segment old = segments_[shard];
  const int log_capacity = old.packed == 0 ? kMinLogCapacity : old.log_capacity() + 1;
  CHECK_LE(log_capacity, 32);
  Slot* slots = AllocateSlots(log_capacity);
  const uint64_t mask = (uint64_t{1} << log_capacity) - 1;
  if (old.packed != 0) {
    const size_t old_capacity = size_t{1} << old.log_capacity();
    for (size_t i = 0; i < old_capacity; ++i) {
      const Slot slot = old.slots()[i];
      if (slot == 0) continue;
      uint64_t at = slot >> 32 >> (32 - log_capacity);
      while (slots[at] != 0) at = (at + 1) & mask;
      slots[at] = slot;
    }
    index_bytes_ -= static_cast<int64_t>(old_capacity * sizeof(Slot));
    std::free(old.slots());
  }
  index_bytes_ += static_cast<int64_t>(sizeof(Slot) << log_capacity);
  segments_[shard].packed = reinterpret_cast<uintptr_t>(slots) | static_cast<uintptr_t>(log_capacity);
}

void Table::ShardRows(int virtual_shard, std::vector<const Row*>* rows) const {
  rows->clear();
  const Segment segment = segments_[virtual_shard];
  if (segment.packed == 0) return;
  std::vector<std::pair<uint64_t, const Row*>> keyed;
  keyed.reserve(segment_rows_[virtual_shard]);
  for (size_t i = 0; i < size_t{1} << segment.log_capacity(); ++i) {
    const Slot slot = segment.slots()[i];
    if (slot == 0) continue;
    const Row* row = RowAt(static_cast<uint32_t>(slot) - 1);
    __builtin_prefetch(row);
    keyed.emplace_back(0, row);
  }
  for (auto& [key, row] : keyed) key = row->key;
  std::sort(keyed.begin(), keyed.end());
  rows->reserve(keyed.size());
  for (const auto& [key, row] : keyed) rows->push_back(row);
}

}  // namespace weir
