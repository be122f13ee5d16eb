// KeyIndex: from a table's keys to the numbers of their rows (docs/tables.md).
#pragma once

#include <algorithm>
#include <bit>
#include <cstdint>
#include <unordered_map>
#include <utility>
#include <vector>

#include "base/random.h"
#include "embeddings/bucket.h"
#include "embeddings/index_memory.h"

namespace weir {

// Every 64-bit value is a legal key; at most 2^32 - 1 rows. A look-up reads one cache line, seldom two. The longest
// call of Insert fills one segment anew: about 50,000 keys. Not thread-safe; const methods may run side by side.
class KeyIndex {
 public:
  // A segment with more buckets splits rather than doubles.
  static constexpr int kMaxLogBuckets = 13;
  // The most keys of a segment with 2^log_buckets buckets.
  static constexpr int64_t KeysMax(int log_buckets) { return (int64_t{Bucket::kSlots} << log_buckets) * 7 / 8; }

  // virtual_shards: a power of two. The memory outlives the index.
  KeyIndex(int virtual_shards, IndexMemory* memory);
  ~KeyIndex();
  KeyIndex(const KeyIndex&) = delete;
  KeyIndex& operator=(const KeyIndex&) = delete;

  int64_t size() const { return size_; }
  int64_t shard_size(int virtual_shard) const { return shard_sizes_[virtual_shard]; }
  // Segments and directory.
  int64_t bytes() const;

  uint32_t Find(uint64_t key) const;
  // The key is not there yet; row < 2^32 - 1.
  void Insert(uint64_t key, uint32_t row);
  // The row of a key; if it was not there, that is `row` now.
  template <typename Match>
  uint32_t FindOrInsert(uint64_t key, uint32_t row);
  // The row the key had, kNoRow if it was not there.
  uint32_t Erase(uint64_t key);
  // Makes room for `keys` evenly hashed keys in all, so that inserting them does not grow the index.
  void Reserve(int64_t keys);

  struct Entry {
    uint64_t key;
    uint32_t row;
  };
  // All entries of a virtual shard by ascending key; `entries` is replaced.
  void ShardEntries(int virtual_shard, std::vector<Entry>* entries) const;

  // Where to look for a key: what a batch computes first, so that the misses of its keys overlap.
  struct Probe {
    const Bucket* home = nullptr;  // never null: an empty bucket stands for a segment that is not there
    uint64_t shifted = 0;          // the hash << p
    uint32_t home_number = 0;
    uint32_t mask = 0;
    uint8_t p = 0;
    bool spilled = false;

    const Bucket* bucket(uint32_t distance) const { return home - home_number + ((home_number + distance) & mask); }
    // Whether a key that its home bucket does not hold may be elsewhere.
    bool MayBePassedOn() const { return home->full() || spilled; }
  };
  Probe MakeProbe(uint64_t key) const;
  // The row of a key that its home bucket does not hold.
  template <typename Match>
  uint32_t FindPassedOn(const Probe& probe, uint64_t key) const;

 private:
  // A segment in 8 bytes, so that the directory stays in the cache: buckets are on cache lines, which leaves the low
  // six bits of their address (4: log2 of the buckets, 1: whether keys of it are spilled), and addresses have 48 bits.
  struct Segment {
    static constexpr uint64_t kAddressMask = 0x0000ffffffffffc0ULL;
    static constexpr uint64_t kLogBucketsMask = 15;
    uint64_t packed = 0;
    Bucket* buckets() const { return reinterpret_cast<Bucket*>(packed & kAddressMask); }
    int log_buckets() const { return static_cast<int>(packed & kLogBucketsMask); }
    bool spilled() const { return (packed & 16) != 0; }
    int depth() const { return static_cast<int>(packed >> 48); }  // leading bits that all its hashes share
  };
  static constexpr Bucket kEmptyBucket = {};
  static constexpr uint64_t kSpilledBit = 16;
  static constexpr int kLogBucketsLimit = 15;

  static uint32_t HomeNumber(uint64_t hash, int depth, int log_buckets) {
    // Shifting by 64 is undefined: two shifts.
    return static_cast<uint32_t>((hash << depth) >> 1 >> (63 - log_buckets));
  }

  size_t DirectoryIndex(uint64_t hash) const { return hash >> 1 >> (63 - log_directory_); }
  size_t FirstIndex(uint64_t hash, int depth) const {
    return log_directory_ == depth ? DirectoryIndex(hash)
                                   : DirectoryIndex(hash) >> (log_directory_ - depth) << (log_directory_ - depth);
  }
  int VirtualShardOf(uint64_t hash) const { return static_cast<int>(hash >> 1 >> (63 - log_shards_)); }
  // Whether one more key may be placed in a segment. `hash`: any of the segment's.
  bool HasRoom(Segment segment, uint64_t hash, uint32_t row) const {
    const bool row_fits = std::bit_width(row) <= segment.depth() + segment.log_buckets() + Bucket::kRowTagBits;
    return row_fits && used_[FirstIndex(hash, segment.depth())] < KeysMax(segment.log_buckets());
  }
  void CountInserted(Segment segment, uint64_t hash) {
    ++used_[FirstIndex(hash, segment.depth())];
    ++size_;
    ++shard_sizes_[VirtualShardOf(hash)];
  }
  // Puts a segment into all its entries of the directory. `hash`: any of the segment's.
  void SetSegment(uint64_t hash, Segment segment, uint32_t used);
  Segment NewSegment(int depth, int log_buckets);
  void FreeSegment(Segment segment);
  bool Place(Segment segment, uint64_t hash, uint32_t row);
  bool MaySplit() const;
  void Grow(uint64_t hash);
  void Double(uint64_t hash);
  void Split(uint64_t hash);
  void MoveTo(const std::vector<std::pair<uint64_t, uint32_t>>& hashes);
  void Spill(uint64_t hash, uint32_t row);
  static uint32_t EraseAt(Segment segment, uint32_t number, int slot);
  // Calls visit(hash, row) for each key of a segment, spilled ones left out. `hash`: any of the segment's.
  template <typename Visit>
  static void ForEach(Segment segment, uint64_t hash, Visit&& visit);

  const int log_shards_;
  IndexMemory* const memory_;
  int log_directory_;
  std::vector<Segment> directory_;  // [2^log_directory_]
  std::vector<uint32_t> used_;      // by the first entry of a segment: its keys, spilled ones left out
  std::vector<int64_t> shard_sizes_;
  int64_t size_ = 0;
  int64_t segment_bytes_ = 0;
  // Keys that share so many bits of their hash that no bucket near their home takes them: only chosen keys do.
  std::unordered_map<uint64_t, uint32_t> spilled_;
};

inline KeyIndex::Probe KeyIndex::MakeProbe(uint64_t key) const {
  const uint64_t hash = Fmix64(key);
  const Segment segment = directory_[DirectoryIndex(hash)];
  const int depth = segment.depth();
  const int log_buckets = segment.log_buckets();
  const uint32_t number = HomeNumber(hash, depth, log_buckets);
  const int p = depth + log_buckets;
  const Bucket* buckets = segment.buckets();
  return {buckets == nullptr ? &kEmptyBucket : buckets + number,
          hash << p,
          number,
          (uint32_t{1} << log_buckets) - 1,
          static_cast<uint8_t>(p),
          segment.spilled()};
}

template <typename Match>
inline uint32_t KeyIndex::FindPassedOn(const Probe& probe, uint64_t key) const {
  const Bucket* bucket = probe.home;
  for (uint32_t distance = 1; distance <= Bucket::kDistanceMax && bucket->full(); ++distance) {
    bucket = probe.bucket(distance);
    const uint32_t found = Match::Find(*bucket, probe.shifted, probe.p, distance);
    if (found != 0) return bucket->row(__builtin_ctz(found), probe.p);
  }
  if (!probe.spilled) return kNoRow;
  const auto spilled = spilled_.find(key);
  return spilled == spilled_.end() ? kNoRow : spilled->second;
}

template <typename Match>
inline uint32_t KeyIndex::FindOrInsert(uint64_t key, uint32_t row) {
  const uint64_t hash = Fmix64(key);
  const Segment segment = directory_[DirectoryIndex(hash)];
  if (segment.buckets() != nullptr && !segment.spilled() && HasRoom(segment, hash, row)) {
    // The first bucket with an empty slot ends the search and takes the key.
    const int depth = segment.depth(), log_buckets = segment.log_buckets();
    const int p = depth + log_buckets;
    const uint32_t home = HomeNumber(hash, depth, log_buckets), mask = (uint32_t{1} << log_buckets) - 1;
    for (uint32_t distance = 0; distance <= std::min(mask, Bucket::kDistanceMax); ++distance) {
      Bucket& bucket = segment.buckets()[(home + distance) & mask];
      const uint32_t found = Match::Find(bucket, hash << p, p, distance);
      if (found != 0) return bucket.row(__builtin_ctz(found), p);
      if (bucket.full()) continue;
      bucket.Set(bucket.EmptySlot(), hash << p >> p, row, distance, p);
      CountInserted(segment, hash);
      return row;
    }
  }
  const uint32_t there = Find(key);
  if (there == kNoRow) Insert(key, row);
  return there == kNoRow ? row : there;
}

}  // namespace weir
