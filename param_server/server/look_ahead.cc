#include "param_server/server/look_ahead.h"

#include <algorithm>
#include <bit>
#include <utility>

#include <fmt/format.h>

#include "base/random.h"

namespace weir {
namespace {

constexpr size_t kCapacityMin = 256;
constexpr int kStepBits = 64;
constexpr int64_t kStepsKept = 32;

uint64_t Bit(int64_t step) { return uint64_t{1} << (step % kStepBits); }

// Of the steps [begin, end), which are fewer than 64.
uint64_t Bits(int64_t begin, int64_t end) {
  if (begin >= end) return 0;
  const uint64_t run = (uint64_t{1} << (end - begin)) - 1;
  return std::rotl(run, static_cast<int>(begin % kStepBits));
}

}  // namespace

size_t OwedKeys::Home(uint64_t key) const {
  return (key * 0x9e3779b97f4a7c15ULL) >> (64 - std::countr_zero(entries_.size()));
}

OwedKeys::Entry* OwedKeys::FindOrAdd(uint64_t key) {
  const size_t mask = entries_.size() - 1;
  size_t at = Home(key);
  while (entries_[at].last_step != 0 && entries_[at].key != key) at = (at + 1) & mask;
  return &entries_[at];
}

void OwedKeys::MakeRoom(size_t keys, int64_t applied) {
  if (2 * (used_ + keys) <= entries_.size()) return;
  const std::vector<Entry> old = std::move(entries_);
  const size_t live = std::ranges::count_if(old, [&](const Entry& entry) { return entry.last_step > applied; });
  // Twice what is needed now, so that it is not done for each pull.
  entries_.assign(std::bit_ceil(std::max(kCapacityMin, 4 * (live + keys))), Entry());
  used_ = 0;
  for (const Entry& entry : old) {
    if (entry.last_step <= applied) continue;
    *FindOrAdd(entry.key) = entry;
    ++used_;
  }
}

void OwedKeys::Add(int64_t step, int64_t applied, std::span<const uint64_t> keys) {
  MakeRoom(keys.size(), applied);
  const uint64_t kept = Bits(applied + 1, applied + 1 + kStepsKept);
  for (const uint64_t key : keys) {
    Entry* entry = FindOrAdd(key);
    used_ += entry->last_step == 0;
    entry->key = key;
    // Bits of a key that was forgotten could stand for steps 64 later.
    entry->steps = (entry->last_step > applied ? entry->steps & kept : 0) | Bit(step);
    entry->last_step = std::max(entry->last_step, step);
  }
}

void OwedKeys::FindFree(int64_t step, int64_t applied, std::span<const uint64_t> keys,
                        std::vector<uint32_t>* free) const {
  const uint64_t between = Bits(applied + 1, step);
  const size_t mask = entries_.size() - 1;
  for (size_t i = 0; i < keys.size(); ++i) {
    size_t at = entries_.empty() ? 0 : Home(keys[i]);
    uint64_t steps = 0;
    for (; !entries_.empty() && entries_[at].last_step != 0; at = (at + 1) & mask) {
      if (entries_[at].key != keys[i]) continue;
      if (entries_[at].last_step > applied) steps = entries_[at].steps;
      break;
    }
    if ((steps & between) == 0) free->push_back(static_cast<uint32_t>(i));
  }
}

bool OwedKeys::IsOf(int64_t step, uint64_t key) const {
  if (entries_.empty()) return false;
  const size_t mask = entries_.size() - 1;
  for (size_t at = Home(key); entries_[at].last_step != 0; at = (at + 1) & mask) {
    if (entries_[at].key == key) return entries_[at].last_step >= step && (entries_[at].steps & Bit(step)) != 0;
  }
  return false;
}

LookAhead::LookAhead(int num_workers, std::vector<bool> tables)
    : tables_(std::move(tables)), owed_(tables_.size()), pulled_through_(num_workers) {}

void LookAhead::NotePull(const OwnerRequest& pull, int64_t applied) {
  for (const TablePull& table : pull.pulls) {
    if (tables_[table.table]) owed_[table.table].Add(pull.step, applied, table.keys);
  }
  // A step that was not pulled may still be pushed: what it owes is not known until it is applied.
  int64_t& through = pulled_through_[pull.worker];
  through = std::max(through, applied);
  if (pull.step == through + 1) through = pull.step;
}

void LookAhead::StartAt(int64_t step) { std::ranges::fill(pulled_through_, step); }

bool LookAhead::IsKnown(int64_t step) const {
  return std::ranges::all_of(pulled_through_, [&](int64_t through) { return through >= step - 1; });
}

void LookAhead::FindFree(int64_t step, int64_t applied, const TablePull& pull, std::vector<uint32_t>* free) {
  const size_t before = free->size();
  owed_[pull.table].FindFree(step, applied, pull.keys, free);
  if (free->size() > before) given_ahead_ = std::max(given_ahead_, step);
}

Status LookAhead::CheckPush(const OwnerRequest& push) const {
  if (push.as_pulled || push.step >= given_ahead_) return Status();
  for (const TablePush& table : push.pushes) {
    if (!tables_[table.table]) continue;
    for (const uint64_t key : table.keys) {
      if (owed_[table.table].IsOf(push.step, key)) continue;
      return FailedPrecondition(
          fmt::format("push of step {} by worker {}: table {} key {:#018x} was not pulled for that step, and rows of "
                      "step {} were given ahead (cluster.look_ahead)",
                      push.step, push.worker, table.table, key, given_ahead_));
    }
  }
  return Status();
}

}  // namespace weir
