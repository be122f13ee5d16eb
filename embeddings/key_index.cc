#include "embeddings/key_index.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <utility>

#include <glog/logging.h>

namespace weir {
namespace {

// Undoes Fmix64: the multipliers are the inverses of its own modulo 2^64, in the opposite order.
constexpr uint64_t KeyOfHash(uint64_t h) {
  h ^= h >> 33;
  h *= 0x9cb4b2f8129337dbULL;
  h ^= h >> 33;
  h *= 0x4f74430c22a54005ULL;
  h ^= h >> 33;
  return h;
}
static_assert(KeyOfHash(Fmix64(0x0123456789abcdefULL)) == 0x0123456789abcdefULL);
static_assert(KeyOfHash(Fmix64(~uint64_t{0})) == ~uint64_t{0});

}  // namespace

KeyIndex::KeyIndex(int virtual_shards, IndexMemory* memory)
    : log_shards_(std::countr_zero(static_cast<unsigned>(virtual_shards))),
      memory_(memory),
      log_directory_(log_shards_),
      directory_(virtual_shards),
      used_(virtual_shards),
      shard_sizes_(virtual_shards) {
  CHECK(std::has_single_bit(static_cast<unsigned>(virtual_shards))) << virtual_shards;
}

KeyIndex::~KeyIndex() {
  for (size_t i = 0; i < directory_.size();) {
    const Segment segment = directory_[i];
    if (segment.buckets() == nullptr) {
      ++i;
      continue;
    }
    i += size_t{1} << (log_directory_ - segment.depth());
    FreeSegment(segment);
  }
}

int64_t KeyIndex::bytes() const {
  return segment_bytes_ + static_cast<int64_t>(directory_.size() * (sizeof(Segment) + sizeof(uint32_t)) +
                                               shard_sizes_.size() * sizeof(int64_t) + spilled_.size() * 32);
}

uint32_t KeyIndex::Find(uint64_t key) const {
  const Probe probe = MakeProbe(key);
  const uint32_t found = ScalarMatch::Find(*probe.home, probe.shifted, probe.p, 0);
  if (found != 0) return probe.home->row(__builtin_ctz(found), probe.p);
  return probe.MayBePassedOn() ? FindPassedOn<ScalarMatch>(probe, key) : kNoRow;
}

void KeyIndex::SetSegment(uint64_t hash, Segment segment, uint32_t used) {
  const size_t first = FirstIndex(hash, segment.depth());
  std::fill_n(directory_.begin() + first, size_t{1} << (log_directory_ - segment.depth()), segment);
  used_[first] = used;
}

KeyIndex::Segment KeyIndex::NewSegment(int depth, int log_buckets) {
  const int log_bytes = log_buckets + IndexMemory::kMinLog;
  const auto address = reinterpret_cast<uint64_t>(memory_->Take(log_bytes));
  segment_bytes_ += int64_t{1} << log_bytes;
  return {address | static_cast<uint64_t>(log_buckets) | static_cast<uint64_t>(depth) << 48};
}

void KeyIndex::FreeSegment(Segment segment) {
  const int log_bytes = segment.log_buckets() + IndexMemory::kMinLog;
  memory_->GiveBack(reinterpret_cast<char*>(segment.buckets()), log_bytes);
  segment_bytes_ -= int64_t{1} << log_bytes;
}

// False when no bucket near the home has an empty slot.
bool KeyIndex::Place(Segment segment, uint64_t hash, uint32_t row) {
  const int depth = segment.depth(), log_buckets = segment.log_buckets();
  const int p = depth + log_buckets;
  const uint32_t home = HomeNumber(hash, depth, log_buckets);
  const uint32_t mask = (uint32_t{1} << log_buckets) - 1;
  for (uint32_t distance = 0; distance <= std::min(mask, Bucket::kDistanceMax); ++distance) {
    Bucket& bucket = segment.buckets()[(home + distance) & mask];
    if (bucket.full()) continue;
    bucket.Set(bucket.EmptySlot(), hash << p >> p, row, distance, p);
    return true;
  }
  return false;
}

void KeyIndex::Insert(uint64_t key, uint32_t row) {
  const uint64_t hash = Fmix64(key);
  if (directory_[DirectoryIndex(hash)].buckets() == nullptr) SetSegment(hash, NewSegment(log_shards_, 0), 0);
  Segment segment = directory_[DirectoryIndex(hash)];
  while (!HasRoom(segment, hash, row) &&
         (segment.log_buckets() < kLogBucketsLimit || segment.depth() < log_directory_ || MaySplit())) {
    Grow(hash);
    segment = directory_[DirectoryIndex(hash)];
  }
  if (HasRoom(segment, hash, row) && Place(segment, hash, row)) return CountInserted(segment, hash);
  Spill(hash, row);
  ++size_;
  ++shard_sizes_[VirtualShardOf(hash)];
}

void KeyIndex::Spill(uint64_t hash, uint32_t row) {
  Segment segment = directory_[DirectoryIndex(hash)];
  segment.packed |= kSpilledBit;
  SetSegment(hash, segment, used_[FirstIndex(hash, segment.depth())]);
  spilled_[KeyOfHash(hash)] = row;
}

// Whether the directory may double: keys that share many leading bits of their hash would blow it up.
bool KeyIndex::MaySplit() const {
  const int64_t segments_needed = size_ / (KeysMax(kMaxLogBuckets) / 2) + 1;
  return int64_t{1} << log_directory_ <= 4 * (segments_needed + (int64_t{1} << log_shards_));
}

void KeyIndex::Grow(uint64_t hash) {
  const Segment segment = directory_[DirectoryIndex(hash)];
  const bool splits_in_place = segment.depth() < log_directory_;
  if (segment.log_buckets() >= kMaxLogBuckets && (splits_in_place || MaySplit())) return Split(hash);
  if (segment.log_buckets() < kLogBucketsLimit) return Double(hash);
}

template <typename Visit>
void KeyIndex::ForEach(Segment segment, uint64_t hash, Visit&& visit) {
  if (segment.buckets() == nullptr) return;
  const int depth = segment.depth(), log_buckets = segment.log_buckets();
  const int p = depth + log_buckets;
  const uint32_t mask = (uint32_t{1} << log_buckets) - 1;
  const uint64_t prefix = hash >> 1 >> (63 - depth) << 1 << (63 - depth);
  for (uint32_t number = 0; number <= mask; ++number) {
    const Bucket& bucket = segment.buckets()[number];
    for (int slot = 0; slot < Bucket::kSlots; ++slot) {
      if (!bucket.used(slot)) continue;
      const uint64_t home = (number - bucket.distance(slot)) & mask;
      visit(prefix | home << 1 << (63 - p) | bucket.remainder(slot, p), bucket.row(slot, p));
    }
  }
}

void KeyIndex::Double(uint64_t hash) {
  const Segment old = directory_[DirectoryIndex(hash)];
  Segment grown = NewSegment(old.depth(), old.log_buckets() + 1);
  if (old.spilled()) grown.packed |= kSpilledBit;
  SetSegment(hash, grown, 0);
  uint32_t& used = used_[FirstIndex(hash, grown.depth())];
  ForEach(old, hash, [&](uint64_t moved, uint32_t row) {
    if (Place(grown, moved, row)) {
      ++used;
    } else {
      Spill(moved, row);
    }
  });
  FreeSegment(old);
}

void KeyIndex::Split(uint64_t hash) {
  const Segment old = directory_[DirectoryIndex(hash)];
  if (old.depth() == log_directory_) {
    // Every entry stands twice; used_ keeps to the first.
    std::vector<Segment> directory(directory_.size() * 2);
    std::vector<uint32_t> used(directory.size());
    for (size_t i = 0; i < directory_.size(); ++i) {
      directory[2 * i] = directory[2 * i + 1] = directory_[i];
      used[2 * i] = used_[i];
    }
    directory_ = std::move(directory);
    used_ = std::move(used);
    ++log_directory_;
  }
  const int depth = old.depth() + 1;
  const uint64_t bit = uint64_t{1} << (64 - depth);
  Segment halves[2];
  for (int half = 0; half < 2; ++half) {
    halves[half] = NewSegment(depth, old.log_buckets());
    if (old.spilled()) halves[half].packed |= kSpilledBit;
    SetSegment(half == 0 ? hash & ~bit : hash | bit, halves[half], 0);
  }
  ForEach(old, hash, [&](uint64_t moved, uint32_t row) {
    const Segment& half = halves[(moved & bit) != 0];
    if (Place(half, moved, row)) {
      ++used_[FirstIndex(moved, depth)];
    } else {
      Spill(moved, row);
    }
  });
  FreeSegment(old);
}

uint32_t KeyIndex::Erase(uint64_t key) {
  const uint64_t hash = Fmix64(key);
  const Segment segment = directory_[DirectoryIndex(hash)];
  if (segment.buckets() == nullptr) return kNoRow;
  const int depth = segment.depth(), log_buckets = segment.log_buckets();
  const int p = depth + log_buckets;
  const uint32_t home = HomeNumber(hash, depth, log_buckets);
  const uint32_t mask = (uint32_t{1} << log_buckets) - 1;
  uint32_t row = kNoRow;
  for (uint32_t distance = 0; distance <= Bucket::kDistanceMax && row == kNoRow; ++distance) {
    const uint32_t number = (home + distance) & mask;
    const Bucket& bucket = segment.buckets()[number];
    const uint32_t found = ScalarMatch::Find(bucket, hash << p, p, distance);
    if (found != 0) {
      row = EraseAt(segment, number, __builtin_ctz(found));
      --used_[FirstIndex(hash, depth)];
    } else if (!bucket.full()) {
      break;
    }
  }
  if (row == kNoRow && segment.spilled()) {
    const auto found = spilled_.find(key);
    if (found != spilled_.end()) {
      row = found->second;
      spilled_.erase(found);
    }
  }
  if (row == kNoRow) return kNoRow;
  --size_;
  --shard_sizes_[VirtualShardOf(hash)];
  return row;
}

// Empties a slot and, where the bucket was full, moves a key back into it that was passed on for want of it, and so on:
// between a key's home and its bucket all buckets are full, always.
uint32_t KeyIndex::EraseAt(Segment segment, uint32_t number, int slot) {
  const int p = segment.depth() + segment.log_buckets();
  const uint32_t mask = (uint32_t{1} << segment.log_buckets()) - 1;
  Bucket* hole = &segment.buckets()[number];
  const uint32_t row = hole->row(slot, p);
  bool was_full = hole->full();
  hole->SetTag(slot, 0);
  while (was_full) {
    was_full = false;
    for (uint32_t ahead = 1; ahead <= std::min(mask, Bucket::kDistanceMax); ++ahead) {
      const uint32_t at = (number + ahead) & mask;
      Bucket* bucket = &segment.buckets()[at];
      const bool full = bucket->full();
      int moved = 0;
      while (moved < Bucket::kSlots && !(bucket->used(moved) && bucket->distance(moved) >= ahead)) ++moved;
      if (moved < Bucket::kSlots) {
        hole->Set(slot, bucket->remainder(moved, p), bucket->row(moved, p), bucket->distance(moved) - ahead, p);
        bucket->SetTag(moved, 0);
        hole = bucket, slot = moved, number = at, was_full = full;
        break;
      }
      if (!full) break;
    }
  }
  return row;
}

void KeyIndex::Reserve(int64_t keys) {
  const int64_t shards = int64_t{1} << log_shards_;
  // Shards differ by chance: room for six standard deviations more than the mean.
  const double mean = static_cast<double>(keys) / static_cast<double>(shards);
  double wanted = mean + 6 * std::sqrt(mean) + 1;
  int depth = log_shards_;
  while (wanted > static_cast<double>(KeysMax(kMaxLogBuckets))) {
    ++depth;
    const double part = static_cast<double>(keys) / static_cast<double>(int64_t{1} << depth);
    wanted = part + 6 * std::sqrt(part) + 1;
  }
  int log_buckets = 0;
  while (static_cast<double>(KeysMax(log_buckets)) < wanted) ++log_buckets;
  for (uint64_t part = 0; part < uint64_t{1} << depth; ++part) {
    const uint64_t hash = depth == 0 ? 0 : part << (64 - depth);
    while (true) {
      const Segment segment = directory_[DirectoryIndex(hash)];
      if (segment.buckets() == nullptr) {
        // Of a whole shard: split further below.
        SetSegment(hash, NewSegment(log_shards_, depth == log_shards_ ? log_buckets : kMaxLogBuckets), 0);
      } else if (segment.depth() < depth && segment.log_buckets() >= kMaxLogBuckets) {
        Split(hash);
      } else if (segment.depth() < depth || segment.log_buckets() < log_buckets) {
        Double(hash);
      } else {
        break;
      }
    }
  }
}

void KeyIndex::ShardEntries(int virtual_shard, std::vector<Entry>* entries) const {
  entries->clear();
  entries->reserve(shard_sizes_[virtual_shard]);
  const size_t per_shard = size_t{1} << (log_directory_ - log_shards_);
  bool spilled = false;
  for (size_t i = virtual_shard * per_shard; i < (virtual_shard + 1) * per_shard;) {
    const Segment segment = directory_[i];
    if (segment.buckets() == nullptr) break;  // nothing of the whole shard
    const uint64_t hash = log_directory_ == 0 ? 0 : uint64_t{i} << (64 - log_directory_);
    ForEach(segment, hash, [&](uint64_t h, uint32_t row) { entries->push_back({KeyOfHash(h), row}); });
    spilled |= segment.spilled();
    i += size_t{1} << (log_directory_ - segment.depth());
  }
  if (spilled) {
    for (const auto& [key, row] : spilled_) {
      if (VirtualShardOf(Fmix64(key)) == virtual_shard) entries->push_back({key, row});
    }
  }
  std::sort(entries->begin(), entries->end(), [](const Entry& a, const Entry& b) { return a.key < b.key; });
}

}  // namespace weir
