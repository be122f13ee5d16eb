#include "embeddings/row_cache.h"

#include <algorithm>
#include <cstring>
#include <limits>

#include <glog/logging.h>

namespace weir {
namespace {

// A segment has just doubled: 64 bytes for 7 slots, 7/16 of them used.
constexpr int64_t kIndexBytesPerRow = 21;
// Weights, records and index, each up to a block, a spare, and four made ready.
constexpr int64_t kRoundingBytesMax = int64_t{16} << 20;

}  // namespace

RowCache::RowCache(const RowLayout& layout, int virtual_shards, int64_t rows_max, Table* table, DiskRows* disk,
                   int disk_table)
    : layout_(layout),
      virtual_shards_(virtual_shards),
      rows_max_(std::max(rows_max, kRowsMin)),
      fetch_rows_max_(static_cast<size_t>(std::min<int64_t>(rows_max_ / 4, kFetchRowsMax))),
      table_(table),
      disk_(disk),
      disk_table_(disk_table) {
  flags_.reserve(rows_max_);
}

int64_t RowCache::RowsWithin(int64_t memory_bytes, const RowLayout& layout) {
  const int64_t row_bytes = layout.weight_bytes() + static_cast<int64_t>(sizeof(RowRecord)) +
                            layout.state_width() * static_cast<int64_t>(sizeof(float)) + kIndexBytesPerRow + 1;
  return (memory_bytes - std::min(memory_bytes / 4, kRoundingBytesMax)) / row_bytes;
}

DiskRow RowCache::View(uint64_t key, uint32_t row) const {
  const RowRecord* record = table_->record(row);
  return {key, record->last_step(), record->count(), table_->weights(row), record->state()};
}

Status RowCache::MakeRoom(int64_t rows) {
  while (table_->num_rows() > 0 && table_->num_rows() + rows > rows_max_) {
    WEIR_RETURN_IF_ERROR(DropHalf(hand_));
    hand_ = (hand_ + 1) % virtual_shards_;
  }
  return Status();
}

// From entries_ to leaving_: half of them, rounded up.
void RowCache::ChooseVictims() {
  victims_.clear();
  for (size_t i = 0; i < entries_.size(); ++i) {
    constexpr size_t kAhead = 16;
    if (i + kAhead < entries_.size()) __builtin_prefetch(table_->record(entries_[i + kAhead].row));
    const uint32_t row = entries_[i].row;
    const int64_t last_use =
        flags_[row] & kAwaited ? std::numeric_limits<int64_t>::max() : table_->record(row)->last_step();
    victims_.push_back({last_use, static_cast<uint32_t>(i)});
  }
  const auto middle = victims_.begin() + static_cast<int64_t>((victims_.size() + 1) / 2);
  std::nth_element(victims_.begin(), middle, victims_.end(), [](const Victim& a, const Victim& b) {
    return a.last_use != b.last_use ? a.last_use < b.last_use : a.entry < b.entry;
  });
  leaving_.clear();
  for (auto victim = victims_.begin(); victim != middle; ++victim) leaving_.push_back(victim->entry);
  std::sort(leaving_.begin(), leaving_.end());
}

Status RowCache::DropHalf(int virtual_shard) {
  if (table_->shard_rows(virtual_shard) == 0) return Status();
  table_->ShardEntries(virtual_shard, &entries_);
  ChooseVictims();
  writes_.clear();
  keys_.clear();
  for (uint32_t i : leaving_) {
    keys_.push_back(entries_[i].key);
    if (flags_[entries_[i].row] & kDirty) writes_.push_back(View(entries_[i].key, entries_[i].row));
  }
  WEIR_RETURN_IF_ERROR(disk_->Put(disk_table_, writes_));
  for (uint32_t i : leaving_) flags_[entries_[i].row] = 0;
  const int64_t erased = table_->Erase(keys_);
  CHECK_EQ(erased, static_cast<int64_t>(keys_.size()));
  disk_only_ += erased;
  return Status();
}

uint32_t RowCache::Take(const DiskRow& from) {
  const uint32_t row = table_->Insert(from.key);
  if (row == kNoRow) return row;
  std::memcpy(table_->weights(row), from.weights, layout_.weight_bytes());
  RowRecord* record = table_->record(row);
  record->set_last_step(from.last_step);
  record->set_count(from.count);
  std::memcpy(record->state(), from.state, layout_.state_width() * sizeof(float));
  FlagsOf(row) = kAwaited;
  return row;
}

Status RowCache::Fetch(std::span<const uint64_t> keys, uint32_t* rows) {
  CHECK_LE(keys.size(), fetch_rows_max_);
  WEIR_RETURN_IF_ERROR(MakeRoom(static_cast<int64_t>(keys.size())));
  std::fill_n(rows, keys.size(), kNoRow);
  return disk_->Get(disk_table_, keys, [&](size_t i, const DiskRow& row) {
    rows[i] = Take(row);
    if (rows[i] == kNoRow) return;  // the same key twice
    --disk_only_;
    ++disk_hits_;
  });
}

Status RowCache::Read(std::span<const uint64_t> keys, const std::function<void(size_t, const DiskRow&)>& found) const {
  return disk_->Get(disk_table_, keys, found);
}

Status RowCache::Scan(int virtual_shard, const std::function<Status(const DiskRow&)>& visit) const {
  std::vector<KeyIndex::Entry> entries;
  table_->ShardEntries(virtual_shard, &entries);
  const auto cursor = disk_->Scan(disk_table_, virtual_shard);
  DiskRow on_disk;
  WEIR_ASSIGN_OR_RETURN(bool more, cursor->Next(&on_disk));
  for (const KeyIndex::Entry& entry : entries) {
    while (more && on_disk.key < entry.key) {
      WEIR_RETURN_IF_ERROR(visit(on_disk));
      WEIR_ASSIGN_OR_RETURN(more, cursor->Next(&on_disk));
    }
    if (more && on_disk.key == entry.key) {
      WEIR_ASSIGN_OR_RETURN(more, cursor->Next(&on_disk));
    }
    WEIR_RETURN_IF_ERROR(visit(View(entry.key, entry.row)));
  }
  while (more) {
    WEIR_RETURN_IF_ERROR(visit(on_disk));
    WEIR_ASSIGN_OR_RETURN(more, cursor->Next(&on_disk));
  }
  return Status();
}

}  // namespace weir
