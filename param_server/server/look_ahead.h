// LookAhead: which rows of a pull no worker owes a push for, so that they can be read before the steps in between are
// applied (docs/consistency.md).
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "base/status.h"
#include "param_server/local_server.h"

namespace weir {

// The keys of one table that training pulls of the last steps named, and of which steps. Open addressing; two cache
// lines a call and key at most, mostly one. Forgets keys of applied steps when it would grow. One thread.
class OwedKeys {
 public:
  // Notes that a pull of `step` names the keys. applied: the last applied step; step is at most 32 past it.
  void Add(int64_t step, int64_t applied, std::span<const uint64_t> keys);
  // Appends the positions of the keys that no pull of the steps (applied, step) names.
  void FindFree(int64_t step, int64_t applied, std::span<const uint64_t> keys, std::vector<uint32_t>* free) const;
  // Whether a pull of `step`, which is not applied, names the key.
  bool IsOf(int64_t step, uint64_t key) const;

  size_t capacity() const { return entries_.size(); }

 private:
  struct Entry {
    uint64_t key = 0;
    uint64_t steps = 0;     // bit step % 64, of steps within 32 of last_step
    int64_t last_step = 0;  // 0: empty
  };

  size_t Home(uint64_t key) const;
  Entry* FindOrAdd(uint64_t key);
  void MakeRoom(size_t keys, int64_t applied);

  std::vector<Entry> entries_;  // a power of two, at most half full
  size_t used_ = 0;
};

// Over all tables and workers of one server. One thread.
class LookAhead {
 public:
  // tables: whether each can be looked ahead in: synchronous, and without limits, which may drop rows or refuse them
  // for the sake of others.
  LookAhead(int num_workers, std::vector<bool> tables);

  bool table(int index) const { return tables_[index]; }

  // A training pull came; applied as above.
  void NotePull(const OwnerRequest& pull, int64_t applied);
  // Training starts after `step`.
  void StartAt(int64_t step);

  // Whether the pulls of all workers for every step before `step` are in, so that what they owe is known.
  bool IsKnown(int64_t step) const;
  // Appends the positions of a pull's keys whose rows nobody will change before `step`. IsKnown(step) must hold.
  void FindFree(int64_t step, int64_t applied, const TablePull& pull, std::vector<uint32_t>* free);

  // Rows have been given ahead on the word that workers push what they pulled: FailedPrecondition for a push that
  // breaks it.
  Status CheckPush(const OwnerRequest& push) const;

 private:
  const std::vector<bool> tables_;
  std::vector<OwedKeys> owed_;           // by table
  std::vector<int64_t> pulled_through_;  // by worker: the last step up to which it pulled each
  int64_t given_ahead_ = 0;              // the greatest step whose rows were
};

}  // namespace weir
