#include "param_server/client/hot_rows.h"

#include <algorithm>
#include <bit>
#include <cstring>
#include <utility>

namespace weir {
namespace {

constexpr size_t kCapacityMin = 64;

}  // namespace

HotTable::HotTable(int dim, bool synchronous, const HotRowsOptions& options)
    : dim_(dim), synchronous_(synchronous), options_(options) {}

HotTable::Entry* HotTable::At(uint64_t key) {
  const size_t mask = entries_.size() - 1;
  size_t at = (key * 0x9e3779b97f4a7c15ULL) >> (64 - std::countr_zero(entries_.size()));
  while (entries_[at].slot != kEmpty && entries_[at].key != key) at = (at + 1) & mask;
  return &entries_[at];
}

void HotTable::BeginPull(size_t num_keys) {
  if (pulls_++ > 0 && pulls_ <= options_.window_pulls) return;
  pulls_ = 1;
  std::vector<Entry> hot = Choose();
  GiveSlots(hot);
  // Room for the candidates that this pull brings.
  entries_.assign(std::bit_ceil(std::max(kCapacityMin, 2 * (hot.size() + num_keys))), Entry());
  for (const Entry& entry : hot) *At(entry.key) = {entry.key, 0, entry.slot};
}

std::vector<HotTable::Entry> HotTable::Choose() {
  std::vector<Entry> hot;
  for (const Entry& entry : entries_) {
    if (entry.slot != kEmpty && 2 * entry.pulls >= options_.window_pulls) hot.push_back(entry);
  }
  const size_t rows_max = options_.rows_max;
  if (hot.size() <= rows_max) return hot;
  std::ranges::nth_element(hot, hot.begin() + rows_max, [](const Entry& a, const Entry& b) {
    return a.pulls != b.pulls ? a.pulls > b.pulls : a.key < b.key;
  });
  hot.resize(rows_max);
  return hot;
}

// A row that stays hot keeps its copy.
void HotTable::GiveSlots(std::span<Entry> hot) {
  std::vector<bool> taken(std::max(copies_.size(), hot.size()));
  for (const Entry& entry : hot) {
    if (entry.slot >= 0) taken[entry.slot] = true;
  }
  copies_.resize(taken.size());
  rows_.resize(taken.size() * dim_);
  size_t slot = 0;
  for (Entry& entry : hot) {
    if (entry.slot >= 0) continue;
    while (taken[slot]) ++slot;
    taken[slot] = true;
    entry.slot = static_cast<int32_t>(slot);
    copies_[slot] = Copy();
  }
  free_slots_ = taken.size() - hot.size();
}

bool HotTable::IsValid(const Copy& copy, int64_t step, PullKind kind, uint64_t round) const {
  if (copy.step == 0 || copy.kind != kind) return false;
  if (kind == PullKind::kEvaluation) return copy.step == step && copy.round == round;
  return copy.step <= step && step - copy.step <= options_.age_steps;
}

size_t HotTable::Find(int64_t step, PullKind kind, uint64_t round, std::span<const uint64_t> keys,
                      std::span<uint32_t> positions, float* rows, std::vector<uint32_t>* wanted) {
  // In training each step changes what it read.
  const bool useful = kind == PullKind::kEvaluation || !synchronous_;
  const bool brings_candidates = pulls_ == 1;
  found_.clear();
  size_t others = 0;
  for (const uint32_t position : positions) {
    const uint64_t key = keys[position];
    Entry* entry = At(key);
    if (entry->slot == kEmpty) {
      if (brings_candidates) *entry = {key, 1, kCandidate};
      positions[others++] = position;
      continue;
    }
    ++entry->pulls;
    const bool hot = useful && entry->slot >= 0;
    if (hot && IsValid(copies_[entry->slot], step, kind, round)) {
      std::memcpy(rows + position * dim_, rows_.data() + entry->slot * dim_, dim_ * sizeof(float));
      found_.push_back(position);
      continue;
    }
    if (hot) wanted->push_back(position);
    positions[others++] = position;
  }
  std::ranges::copy(found_, positions.begin() + others);
  return found_.size();
}

void HotTable::Keep(int64_t step, PullKind kind, uint64_t round, uint64_t key, const float* row) {
  const Entry& entry = *At(key);
  if (entry.slot < 0) return;
  Copy& copy = copies_[entry.slot];
  // Pulls overlap: an older one may end after one that brought a newer row.
  if (copy.kind == kind && copy.step > step) return;
  copy = {step, kind, round};
  std::memcpy(rows_.data() + entry.slot * dim_, row, dim_ * sizeof(float));
}

void HotTable::Forget() { std::ranges::fill(copies_, Copy()); }

HotRows::HotRows(std::span<const TableSpec> tables, int num_servers, int local_server, const HotRowsOptions& options)
    : num_servers_(num_servers), local_server_(local_server) {
  if (options.rows_max == 0 || (num_servers == 1 && local_server == 0)) return;
  for (const TableSpec& table : tables) {
    tables_.emplace_back(table.layout.dim, table.consistency.synchronous(), options);
  }
}

void HotRows::Find(PullCall* call) {
  call->wanted.resize(call->tables.size());
  call->round = round_;
  for (size_t i = 0; i < call->tables.size(); ++i) {
    const TablePull& pull = call->tables[i];
    KeyPartition& partition = call->partition;
    size_t num_keys = pull.keys.size();
    if (local_server_ >= 0) num_keys -= partition.count(local_server_, i);
    if (num_keys == 0) continue;
    HotTable& table = tables_[pull.table];
    table.BeginPull(num_keys);
    for (int server = 0; server < num_servers_; ++server) {
      if (server == local_server_) continue;
      const size_t found = table.Find(call->step, call->kind, round_, pull.keys, partition.mutable_positions(server, i),
                                      pull.rows, &call->wanted[i]);
      // An evaluation has no push that would need the keys.
      if (call->kind == PullKind::kEvaluation) {
        partition.DropLast(server, i, found);
      } else {
        partition.LeaveUnasked(server, i, found);
      }
      keys_from_cache_ += static_cast<int64_t>(found);
    }
  }
}

void HotRows::Keep(const PullCall& call) {
  if (call.kind == PullKind::kEvaluation && call.round != round_) return;
  for (size_t i = 0; i < call.wanted.size(); ++i) {
    const TablePull& pull = call.tables[i];
    HotTable& table = tables_[pull.table];
    for (const uint32_t position : call.wanted[i]) {
      table.Keep(call.step, call.kind, call.round, pull.keys[position], pull.rows + position * table.dim());
    }
  }
}

void HotRows::Forget() {
  ++round_;
  for (HotTable& table : tables_) table.Forget();
}

}  // namespace weir
