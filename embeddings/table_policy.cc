#include "embeddings/table_policy.h"

#include <algorithm>
#include <bit>
#include <cstring>
#include <utility>

#include <fmt/format.h>
#include <glog/logging.h>

#include "embeddings/bfloat16.h"
#include "embeddings/virtual_shard.h"

namespace weir {
namespace {

// A virtual shard of a table without a budget.
constexpr int64_t kTombstonesMax = 4096;
constexpr int64_t kTombstoneHeadBytes = 128;
constexpr uint64_t kTooMany = ~uint64_t{0};

int64_t TombstonesMax(const TableLimits& limits, int virtual_shards) {
  if (limits.memory_bytes == 0) return kTombstonesMax;
  const int64_t share = TombstoneBytesMax(limits) / virtual_shards - kTombstoneHeadBytes;
  return std::max<int64_t>(share / static_cast<int64_t>(sizeof(uint64_t)), 0);
}

template <typename T>
void Put(T value, std::vector<uint8_t>* bytes) {
  const auto* begin = reinterpret_cast<const uint8_t*>(&value);
  bytes->insert(bytes->end(), begin, begin + sizeof(value));
}

// The next `size` bytes, or nothing when there are fewer.
std::optional<std::span<const uint8_t>> Take(uint64_t size, std::span<const uint8_t>* bytes) {
  if (bytes->size() < size) return std::nullopt;
  const auto taken = bytes->first(size);
  *bytes = bytes->subspan(size);
  return taken;
}

std::optional<uint64_t> TakeCount(std::span<const uint8_t>* bytes) {
  const auto taken = Take(sizeof(uint64_t), bytes);
  if (!taken) return std::nullopt;
  uint64_t count;
  std::memcpy(&count, taken->data(), sizeof(count));
  return count;
}

// A count, and as many elements.
std::optional<std::span<const uint8_t>> TakeCounted(size_t element_bytes, std::span<const uint8_t>* bytes) {
  const std::optional<uint64_t> count = TakeCount(bytes);
  if (!count || *count > bytes->size() / element_bytes) return std::nullopt;
  return Take(*count * element_bytes, bytes);
}

// What SaveShard says of tombstones: a count with as many keys, or kTooMany and nothing more.
bool SkipTombstones(std::span<const uint8_t>* bytes) {
  const std::optional<uint64_t> count = TakeCount(bytes);
  if (!count) return false;
  return *count == kTooMany || (*count <= bytes->size() / sizeof(uint64_t) && Take(*count * sizeof(uint64_t), bytes));
}

}  // namespace

TablePolicy::TablePolicy(std::string name, const TableLimits& limits, const RowLayout& layout, uint64_t table_seed,
                         int virtual_shards, Table* table)
    : name_(std::move(name)),
      layout_(layout),
      virtual_shards_(virtual_shards),
      table_(table),
      when_full_(limits.eviction.when_full()),
      rows_max_(ShardRowsMax(limits, layout, virtual_shards)),
      tombstones_max_(TombstonesMax(limits, virtual_shards)),
      admission_(MakeAdmission(limits.admission, table_seed, virtual_shards, limits.allow_list)),
      sweep_(limits.eviction) {
  if (rows_max_) {
    CHECK_GT(*rows_max_, 0) << "table " << name_ << ": " << limits.memory_bytes << " bytes hold no row a virtual shard";
    new_rows_.resize(virtual_shards);
  }
  if (sweep_.by_seconds()) times_.emplace(sweep_.ttl_s());
}

void TablePolicy::WouldAdmit(int64_t step, std::span<const uint64_t> keys, bool* initial) const {
  if (admission_ == nullptr) {
    std::fill_n(initial, keys.size(), true);
  } else {
    admission_->WouldAdmit(step, keys, initial);
  }
}

void TablePolicy::TakeNew(int64_t step, std::span<const uint64_t> keys, const uint32_t* pushes, bool* taken) {
  Admit(step, keys, pushes, taken);
  if (rows_max_) KeepBudget(step, keys, taken);
  stats_.admitted += std::count(taken, taken + keys.size(), true);
}

void TablePolicy::Admit(int64_t step, std::span<const uint64_t> keys, const uint32_t* pushes, bool* taken) {
  if (admission_ == nullptr) {
    std::fill_n(taken, keys.size(), true);
    return;
  }
  admission_->Admit(step, keys, pushes, taken);
  stats_.not_admitted += std::count(taken, taken + keys.size(), false);
}

void TablePolicy::KeepBudget(int64_t step, std::span<const uint64_t> keys, bool* taken) {
  bool some_full = false;
  for (size_t i = 0; i < keys.size(); ++i) {
    if (!taken[i]) continue;
    const int shard = VirtualShard(keys[i], virtual_shards_);
    some_full |= table_->shard_rows(shard) + ++new_rows_[shard] > *rows_max_;
  }
  new_keys_.clear();
  for (size_t i = 0; i < keys.size(); ++i) {
    if (!taken[i]) continue;
    const int shard = VirtualShard(keys[i], virtual_shards_);
    const bool full = some_full && table_->shard_rows(shard) + new_rows_[shard] > *rows_max_;
    if (full) new_keys_.push_back({shard, keys[i], static_cast<uint32_t>(i)});
  }
  for (uint64_t key : keys) new_rows_[VirtualShard(key, virtual_shards_)] = 0;
  // By key, so that who gets the last places does not depend on the order of keys.
  std::sort(new_keys_.begin(), new_keys_.end(),
            [](const NewKey& a, const NewKey& b) { return a.shard != b.shard ? a.shard < b.shard : a.key < b.key; });
  for (size_t begin = 0, end = 0; begin < new_keys_.size(); begin = end) {
    const int shard = new_keys_[begin].shard;
    while (end < new_keys_.size() && new_keys_[end].shard == shard) ++end;
    const auto wanted = static_cast<int64_t>(end - begin);
    if (when_full_ != EvictionConfig::REFUSE) {
      ListRows(shard, step, when_full_ == EvictionConfig::SMALL_NORM);
      const int64_t n = RowsToDrop(*rows_max_, table_->shard_rows(shard), static_cast<int64_t>(rows_.size()), wanted);
      SelectVictims(when_full_, n, rows_);
      Drop(shard, std::span(rows_).first(n));
      stats_.evicted_full += n;
    }
    const int64_t room = std::clamp<int64_t>(*rows_max_ - table_->shard_rows(shard), 0, wanted);
    for (size_t i = begin + room; i < end; ++i) taken[new_keys_[i].index] = false;
    stats_.refused += wanted - room;
  }
}

void TablePolicy::ListRows(int virtual_shard, int64_t step, bool with_norm) {
  table_->ShardEntries(virtual_shard, &entries_);
  rows_.clear();
  for (const KeyIndex::Entry& entry : entries_) {
    const RowRecord* record = table_->record(entry.row);
    if (record->last_step() >= step) continue;
    rows_.push_back({entry.key, record->last_step(), record->count(), with_norm ? NormOf(entry.row) : 0});
  }
}

double TablePolicy::NormOf(uint32_t row) const {
  const void* weights = table_->weights(row);
  if (layout_.weight_type == TableConfig::FLOAT32) {
    return SquareNorm({static_cast<const float*>(weights), static_cast<size_t>(layout_.dim)});
  }
  double sum = 0;
  for (int c = 0; c < layout_.dim; ++c) {
    const double weight = Bfloat16ToFloat(static_cast<const uint16_t*>(weights)[c]);
    sum += weight * weight;
  }
  return sum;
}

void TablePolicy::Drop(int virtual_shard, std::span<const EvictionRow> victims) {
  if (victims.empty()) return;
  keys_.clear();
  for (const EvictionRow& row : victims) keys_.push_back(row.key);
  CHECK_EQ(table_->Erase(keys_), static_cast<int64_t>(keys_.size())) << name_;
  ShardTombstones& tombstones = tombstones_[virtual_shard];
  if (static_cast<int64_t>(tombstones.keys.size() + keys_.size()) > tombstones_max_) tombstones.too_many = true;
  if (tombstones.too_many) {
    tombstones.keys = {};
    return;
  }
  // No capacity beyond what is counted.
  tombstones.keys.reserve(std::min<size_t>(std::bit_ceil(tombstones.keys.size() + keys_.size()), tombstones_max_));
  tombstones.keys.insert(tombstones.keys.end(), keys_.begin(), keys_.end());
}

void TablePolicy::EndStep(int64_t step, int64_t unix_ms) {
  if (!sweep_.active()) return;
  if (times_) times_->Add(step, unix_ms);
  const SweepRule::Limits limits = sweep_.LimitsAt(step, times_ ? &*times_ : nullptr);
  for (int shard : sweep_.ShardsAt(step, virtual_shards_)) {
    if (table_->shard_rows(shard) > 0) SweepShard(shard, step, limits);
  }
}

void TablePolicy::SweepShard(int virtual_shard, int64_t step, const SweepRule::Limits& limits) {
  ListRows(virtual_shard, step, sweep_.by_norm());
  const auto kept = [&](const EvictionRow& row) {
    const SweepRule::Verdict verdict = SweepRule::Judge(limits, row);
    stats_.evicted_expired += verdict == SweepRule::Verdict::kExpired;
    stats_.evicted_norm += verdict == SweepRule::Verdict::kSmallNorm;
    return verdict == SweepRule::Verdict::kKeep;
  };
  rows_.erase(std::remove_if(rows_.begin(), rows_.end(), kept), rows_.end());
  Drop(virtual_shard, rows_);
}

Status TablePolicy::FitLoaded() {
  if (!rows_max_) return Status();
  for (int shard = 0; shard < virtual_shards_; ++shard) {
    const int64_t rows = table_->shard_rows(shard);
    if (rows <= *rows_max_) continue;
    if (when_full_ == EvictionConfig::REFUSE) {
      return FailedPrecondition(
          fmt::format("table {}: virtual shard {} has {} rows, expected at most {} within the table's memory: give it "
                      "more memory, or "
                      "an eviction.when_full that drops rows",
                      name_, shard, rows, *rows_max_));
    }
    ListRows(shard, RowRecord::kMax + 1, when_full_ == EvictionConfig::SMALL_NORM);
    const int64_t n = rows - *rows_max_;
    SelectVictims(when_full_, n, rows_);
    Drop(shard, std::span(rows_).first(n));
    stats_.evicted_full += n;
  }
  return Status();
}

std::optional<std::vector<uint64_t>> TablePolicy::Tombstones(int virtual_shard) const {
  const auto found = tombstones_.find(virtual_shard);
  if (found == tombstones_.end()) return std::vector<uint64_t>();
  if (found->second.too_many) return std::nullopt;
  std::vector<uint64_t> keys = found->second.keys;
  std::sort(keys.begin(), keys.end());
  keys.erase(std::unique(keys.begin(), keys.end()), keys.end());
  std::vector<uint32_t> rows(keys.size());
  table_->Find(keys, rows.data(), Table::Touch::kWeights);
  size_t kept = 0;
  for (size_t i = 0; i < keys.size(); ++i) {
    if (rows[i] == kNoRow) keys[kept++] = keys[i];
  }
  keys.resize(kept);
  return keys;
}

std::vector<uint8_t> TablePolicy::Save() const {
  std::vector<uint8_t> bytes;
  if (!times_ || times_->groups().empty()) return bytes;
  Put<uint64_t>(times_->groups().size(), &bytes);
  for (const StepTimes::Group& group : times_->groups()) Put(group, &bytes);
  return bytes;
}

Status TablePolicy::Load(std::span<const uint8_t> bytes) {
  if (bytes.empty()) return Status();
  const auto elements = TakeCounted(sizeof(StepTimes::Group), &bytes);
  if (!elements || !bytes.empty()) {
    return DataLoss(fmt::format("table {}: the times of its steps are cut short or too long", name_));
  }
  std::vector<StepTimes::Group> groups(elements->size() / sizeof(StepTimes::Group));
  if (!groups.empty()) std::memcpy(groups.data(), elements->data(), elements->size());
  if (!times_) return Status();
  return times_->Load(groups).Wrap("table " + name_);
}

std::vector<uint8_t> TablePolicy::SaveShard(int virtual_shard) const {
  std::vector<uint8_t> filter;
  if (admission_ != nullptr) admission_->SaveShard(virtual_shard, &filter);
  const auto tombstones = Tombstones(virtual_shard);
  if (filter.empty() && tombstones && tombstones->empty()) return {};
  std::vector<uint8_t> bytes;
  Put<uint64_t>(filter.size(), &bytes);
  bytes.insert(bytes.end(), filter.begin(), filter.end());
  Put<uint64_t>(tombstones ? tombstones->size() : kTooMany, &bytes);
  if (tombstones) {
    for (uint64_t key : *tombstones) Put(key, &bytes);
  }
  return bytes;
}

Status TablePolicy::LoadShard(int virtual_shard, std::span<const uint8_t> bytes) {
  if (bytes.empty()) return Status();
  const auto filter = TakeCounted(1, &bytes);
  // The commit that wrote the tombstones holds them: they are not kept any longer.
  if (!filter || !SkipTombstones(&bytes) || !bytes.empty()) {
    return DataLoss(
        fmt::format("table {}: what virtual shard {} remembers is cut short or too long", name_, virtual_shard));
  }
  if (admission_ == nullptr) return Status();
  Status status = admission_->LoadShard(virtual_shard, *filter);
  if (status.code() == StatusCode::kFailedPrecondition) {
    LOG_EVERY_N(WARNING, 1024) << "table " << name_ << ": its filter begins empty: " << status.message();
    return Status();
  }
  return status.Wrap("table " + name_);
}

int64_t TablePolicy::bytes() const {
  int64_t bytes = admission_ == nullptr ? 0 : admission_->bytes();
  for (const auto& [shard, tombstones] : tombstones_) {
    bytes += kTombstoneHeadBytes + static_cast<int64_t>(tombstones.keys.capacity() * sizeof(uint64_t));
  }
  return bytes;
}

}  // namespace weir
