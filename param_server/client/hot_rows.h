// HotRows: the rows that come in most of a worker's pulls, found and kept beside it (docs/consistency.md, "Hot rows").
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "embeddings/pull_kind.h"
#include "embeddings/table_set.h"
#include "param_server/client/pull_call.h"

namespace weir {

// Of one table. In each window the keys of its first pull, and those that are hot already, are candidates, and it is
// counted how many of the window's pulls they come in; those that come in half of them or more are hot in the next one,
// the most frequent rows_max of them, ties by key. So a key that comes in a share f of the pulls, a half at least, is
// missed with probability 1 - f at first, and what is counted is exact. (Space-Saving, the usual bounded counter, errs
// by total / counters: to tell half of the pulls it needs two counters for each key of a pull, too, and moves a heap
// for each key that comes once.)
//
// Memory: 64 bytes for each key of one pull and each hot row at most, and the rows. A key of a pull costs one look-up,
// a cache line mostly. One thread.
class HotTable {
 public:
  HotTable(int dim, bool synchronous, const HotRowsOptions& options);

  // Another pull, of so many keys.
  void BeginPull(size_t num_keys);
  // Of that pull, the keys at these positions: those whose copies are valid go behind the others, both in their order,
  // and are copied to their place in `rows` [.., dim]. Returns how many they are. Appends to `wanted` those of the
  // others that are worth a copy. round: see HotRows.
  size_t Find(int64_t step, PullKind kind, uint64_t round, std::span<const uint64_t> keys,
              std::span<uint32_t> positions, float* rows, std::vector<uint32_t>* wanted);
  // The row of a key that was wanted has come; unless it is not hot any more, it is kept.
  void Keep(int64_t step, PullKind kind, uint64_t round, uint64_t key, const float* row);
  // All copies are invalid.
  void Forget();

  size_t num_hot() const { return copies_.size() - free_slots_; }
  size_t dim() const { return dim_; }

 private:
  struct Entry {
    uint64_t key = 0;
    int32_t pulls = 0;  // of the window
    int32_t slot = kEmpty;
  };
  static constexpr int32_t kEmpty = -2;      // no key
  static constexpr int32_t kCandidate = -1;  // not hot
  struct Copy {
    int64_t step = 0;  // of the pull it came with; 0: none
    PullKind kind = PullKind::kTraining;
    uint64_t round = 0;
  };

  // The key's entry, or the empty one where it belongs.
  Entry* At(uint64_t key);
  std::vector<Entry> Choose();
  void GiveSlots(std::span<Entry> hot);
  bool IsValid(const Copy& copy, int64_t step, PullKind kind, uint64_t round) const;

  const size_t dim_;
  const bool synchronous_;
  const HotRowsOptions options_;
  int pulls_ = 0;               // of the window
  std::vector<Entry> entries_;  // open addressing; a power of two, at most half full
  std::vector<Copy> copies_;    // by slot
  std::vector<float> rows_;     // [slots, dim]
  size_t free_slots_ = 0;
  std::vector<uint32_t> found_;  // scratch
};

// Of all tables, at one worker's store. Rows of the server in the worker's process are not kept: they do not travel.
// One thread, the store's.
class HotRows {
 public:
  // local_server: -1 if there is none.
  HotRows(std::span<const TableSpec> tables, int num_servers, int local_server, const HotRowsOptions& options);

  bool enabled() const { return !tables_.empty(); }
  // At the start of a pull whose keys are split in order: fills the rows that it has valid copies of and takes them
  // from what is asked for.
  void Find(PullCall* call);
  // At its end.
  void Keep(const PullCall& call);
  // What evaluation pulls brought before does not stand for those that follow: a round is over.
  void NotePush() { ++round_; }
  // Rows are replaced, as by a load.
  void Forget();
  // Rows that were not asked for, of all pulls.
  int64_t keys_from_cache() const { return keys_from_cache_; }

 private:
  const int num_servers_;
  const int local_server_;
  std::vector<HotTable> tables_;
  uint64_t round_ = 1;
  int64_t keys_from_cache_ = 0;
};

}  // namespace weir
