#include "embeddings/table.h"

#include <algorithm>
#include <cstring>

#include <glog/logging.h>

namespace weir {
namespace {

constexpr size_t kCacheLineBytes = 64;
constexpr uint32_t kRowsMax = kNoRow;

// Lines past the first few come by the hardware's own prefetch.
inline void PrefetchLines(const char* begin, size_t size_bytes) {
  const size_t ahead = std::min(size_bytes, 8 * kCacheLineBytes);
  for (size_t at = 0; at < ahead; at += kCacheLineBytes) __builtin_prefetch(begin + at);
}

// What a visit reads of a row; records is null when they are not touched.
inline __attribute__((always_inline)) void AskForRow(const RowArray& weights, const RowArray* records, uint32_t row) {
  PrefetchLines(weights.At(row), weights.stride_bytes());
  if (records != nullptr) PrefetchLines(records->At(row), records->stride_bytes());
}

struct FindArguments {
  const KeyIndex* index;
  const RowArray* weights;
  const RowArray* records;  // null when records are not touched
  std::span<const uint64_t> keys;
  uint32_t* rows;
  const std::function<void(size_t, size_t)>* visit;  // null: only rows are wanted
};

// Stages of a look-up, each a batch or two behind the one before, so that what a stage reads was asked for long ago
// and many misses overlap at all times: the keys' home buckets are asked for; found rows are asked for, and the next
// bucket for keys that were passed on; those are found; the batch is visited.
template <typename Match>
class Pipeline {
 public:
  explicit Pipeline(const FindArguments& find) : find_(find), size_(find.keys.size()) {}

  __attribute__((always_inline)) void Run() {
    const size_t batches = (size_ + kBatch - 1) / kBatch;
    const size_t last_lag = find_.visit != nullptr ? kVisitLag : kPassedOnLag;
    for (size_t stage = 0; stage < batches + last_lag; ++stage) {
      if (stage < batches) AskForHomes(stage);
      if (stage >= kHomeLag && stage < batches + kHomeLag) FindAtHome(stage - kHomeLag);
      if (stage >= kPassedOnLag && stage < batches + kPassedOnLag) FindPassedOn(stage - kPassedOnLag);
      if (stage >= kVisitLag && find_.visit != nullptr) Visit(stage - kVisitLag);
    }
  }

 private:
  static constexpr size_t kBatch = Table::kBatch;
  static constexpr size_t kHomeLag = 1, kPassedOnLag = 2, kVisitLag = 4;
  // A key in ten is not in its home bucket when four fifths of the slots are taken; of these, 88 in 100 are in the next
  // three.
  static constexpr uint32_t kBucketsAhead = 3;
  static constexpr size_t kRing = 4;  // batches whose homes are kept: more than kPassedOnLag

  // What finding a key in its home bucket needs of its probe.
  struct Homes {
    const Bucket* buckets[kBatch];
    uint64_t shifted[kBatch];
    uint8_t p[kBatch];
  };
  struct Batch {
    Homes homes;
    uint8_t passed_on[kBatch];
    size_t num_passed_on;
  };

  size_t SizeOf(size_t batch) const { return std::min(kBatch, size_ - batch * kBatch); }

  __attribute__((always_inline)) void AskForHomes(size_t batch) {
    Homes& homes = ring_[batch % kRing].homes;
    const size_t n = SizeOf(batch);
    for (size_t i = 0; i < n; ++i) {
      const KeyIndex::Probe probe = find_.index->MakeProbe(find_.keys[batch * kBatch + i]);
      __builtin_prefetch(probe.home);
      homes.buckets[i] = probe.home;
      homes.shifted[i] = probe.shifted;
      homes.p[i] = probe.p;
    }
  }

  __attribute__((always_inline)) void FindAtHome(size_t batch) {
    Batch& of = ring_[batch % kRing];
    uint32_t* rows = find_.rows + batch * kBatch;
    const size_t n = SizeOf(batch);
    size_t num_passed_on = 0;
    for (size_t i = 0; i < n; ++i) {
      const Bucket& home = *of.homes.buckets[i];
      const auto p = static_cast<int>(of.homes.p[i]);
      const uint32_t found = Match::Find(home, of.homes.shifted[i], p, 0);
      if (__builtin_expect(found != 0, 1)) {
        rows[i] = home.row(__builtin_ctz(found), p);
        AskForRow(rows[i]);
        continue;
      }
      rows[i] = kNoRow;
      const KeyIndex::Probe probe = find_.index->MakeProbe(find_.keys[batch * kBatch + i]);
      if (!probe.MayBePassedOn()) continue;
      for (uint32_t distance = 1; distance <= kBucketsAhead; ++distance) __builtin_prefetch(probe.bucket(distance));
      of.passed_on[num_passed_on++] = static_cast<uint8_t>(i);
    }
    of.num_passed_on = num_passed_on;
  }

  __attribute__((always_inline)) void FindPassedOn(size_t batch) {
    const Batch& of = ring_[batch % kRing];
    for (size_t j = 0; j < of.num_passed_on; ++j) {
      const size_t at = batch * kBatch + of.passed_on[j];
      const uint64_t key = find_.keys[at];
      const uint32_t row = find_.index->FindPassedOn<Match>(find_.index->MakeProbe(key), key);
      find_.rows[at] = row;
      if (row != kNoRow) AskForRow(row);
    }
  }

  __attribute__((always_inline)) void AskForRow(uint32_t row) const {
    weir::AskForRow(*find_.weights, find_.records, row);
  }

  void Visit(size_t batch) const { (*find_.visit)(batch * kBatch, SizeOf(batch)); }

  const FindArguments find_;
  const size_t size_;
  Batch ring_[kRing];
};

void FindScalar(const FindArguments& find) { Pipeline<ScalarMatch>(find).Run(); }
#if defined(__x86_64__)
WEIR_TARGET_AVX2 void FindAvx2(const FindArguments& find) { Pipeline<Avx2Match>(find).Run(); }
WEIR_TARGET_AVX512 void FindAvx512(const FindArguments& find) { Pipeline<Avx512Match>(find).Run(); }
#endif

}  // namespace

Table::Table(const RowLayout& layout, int virtual_shards, TableMemory* memory, Isa isa)
    : layout_(layout),
      isa_(isa),
      index_(virtual_shards, &memory->index),
      weights_(layout.weight_bytes(), &memory->slabs),
      records_(sizeof(RowRecord) + layout.state_width() * sizeof(float), &memory->slabs) {}

int64_t Table::bytes() const { return index_.bytes() + weights_.bytes(rows_made_) + records_.bytes(rows_made_); }

void Table::Find(std::span<const uint64_t> keys, uint32_t* rows, Touch touch, const Visit* visit) const {
  const FindArguments find = {&index_, &weights_, touch == Touch::kWeights ? nullptr : &records_, keys, rows, visit};
  switch (isa_) {
#if defined(__x86_64__)
    case Isa::kAvx512:
      return FindAvx512(find);
    case Isa::kAvx2:
      return FindAvx2(find);
#endif
    default:
      return FindScalar(find);
  }
}

void Table::VisitRows(std::span<const uint32_t> rows, Touch touch, const Visit& visit) const {
  constexpr size_t kAhead = 2 * kBatch;
  const RowArray* records = touch == Touch::kWeights ? nullptr : &records_;
  // Inlined: the compiler takes a call that does nothing but prefetch for one without effect.
  const auto ask_for = [&](size_t begin, size_t end) __attribute__((always_inline)) {
    for (size_t i = std::min(begin, rows.size()); i < std::min(end, rows.size()); ++i) {
      if (rows[i] != kNoRow) AskForRow(weights_, records, rows[i]);
    }
  };
  ask_for(0, kAhead);
  for (size_t begin = 0; begin < rows.size(); begin += kBatch) {
    ask_for(begin + kAhead, begin + kAhead + kBatch);
    visit(begin, std::min(kBatch, rows.size() - begin));
  }
}

template <typename Match>
__attribute__((always_inline)) inline void Table::InsertMissing(std::span<const uint64_t> keys, uint32_t* rows,
                                                                bool* inserted) {
  for (size_t i = 0; i < keys.size(); ++i) {
    inserted[i] = false;
    if (rows[i] != kNoRow) continue;
    // The same key may have been inserted earlier in this batch.
    const uint32_t next = NextRow();
    rows[i] = index_.FindOrInsert<Match>(keys[i], next);
    if (rows[i] != next) continue;
    TakeRow(next);
    inserted[i] = true;
  }
}

void Table::InsertMissingScalar(Table* table, std::span<const uint64_t> keys, uint32_t* rows, bool* inserted) {
  table->InsertMissing<ScalarMatch>(keys, rows, inserted);
}
#if defined(__x86_64__)
WEIR_TARGET_AVX2 void Table::InsertMissingAvx2(Table* table, std::span<const uint64_t> keys, uint32_t* rows,
                                               bool* inserted) {
  table->InsertMissing<Avx2Match>(keys, rows, inserted);
}
WEIR_TARGET_AVX512 void Table::InsertMissingAvx512(Table* table, std::span<const uint64_t> keys, uint32_t* rows,
                                                   bool* inserted) {
  table->InsertMissing<Avx512Match>(keys, rows, inserted);
}
#endif

void Table::FindOrInsert(std::span<const uint64_t> keys, uint32_t* rows, bool* inserted) {
  // So many that looking them up runs at full speed, so few that their home buckets stay in the cache.
  constexpr size_t kChunk = 8 * kBatch;
  for (size_t begin = 0; begin < keys.size(); begin += kChunk) {
    const auto chunk = keys.subspan(begin, std::min(kChunk, keys.size() - begin));
    Find(chunk, rows + begin, Touch::kWeightsAndRecord, nullptr);
    switch (isa_) {
#if defined(__x86_64__)
      case Isa::kAvx512:
        InsertMissingAvx512(this, chunk, rows + begin, inserted + begin);
        break;
      case Isa::kAvx2:
        InsertMissingAvx2(this, chunk, rows + begin, inserted + begin);
        break;
#endif
      default:
        InsertMissingScalar(this, chunk, rows + begin, inserted + begin);
    }
  }
}

uint32_t Table::NextRow() {
  if (free_row_ != kNoRow) return free_row_;
  CHECK_LT(rows_made_, kRowsMax) << "a table of one owner is full: use more servers";
  weights_.GrowTo(rows_made_ + 1);
  records_.GrowTo(rows_made_ + 1);
  return rows_made_;
}

void Table::TakeRow(uint32_t row) {
  if (row != free_row_) {
    ++rows_made_;
    return;
  }
  std::memcpy(&free_row_, records_.At(row), sizeof(free_row_));
  std::memset(weights_.At(row), 0, weights_.stride_bytes());
  std::memset(records_.At(row), 0, records_.stride_bytes());
}

uint32_t Table::Insert(uint64_t key) {
  const uint32_t row = NextRow();
  if (index_.FindOrInsert<ScalarMatch>(key, row) != row) return kNoRow;
  TakeRow(row);
  return row;
}

int64_t Table::Erase(std::span<const uint64_t> keys) {
  int64_t erased = 0;
  for (uint64_t key : keys) {
    const uint32_t row = index_.Erase(key);
    if (row == kNoRow) continue;
    std::memcpy(records_.At(row), &free_row_, sizeof(free_row_));
    free_row_ = row;
    ++erased;
  }
  num_erased_ += erased;
  return erased;
}

void Table::Reserve(int64_t rows) {
  index_.Reserve(rows);
  weights_.GrowTo(rows);
  records_.GrowTo(rows);
  weights_.Populate();
  records_.Populate();
}

}  // namespace weir
