#include "embeddings/table_set.h"

#include <algorithm>
#include <set>
#include <utility>

#include <glog/logging.h>

#include "embeddings/admission.h"
#include "embeddings/dim_dispatch.h"
#include "embeddings/disk_rows.h"
#include "embeddings/distinct.h"
#include "embeddings/owned_table.h"

namespace weir {
// The pushes of several workers for one table, merged.
struct TableSet::Merge {
  DistinctKeys distinct;
  std::vector<int32_t> numbers;   // of one push's keys
  std::vector<float> gradients;   // [distinct, dim], summed in worker order
  std::vector<uint32_t> workers;  // [distinct]: how many pushed the key
  FoundRows found_rows;           // of the distinct keys, by those of the pulls that know
  bool any_found = false;

  void Clear();
  // found: by the push's pull, null if it is not known.
  void Add(const TablePush& push, const FoundRows* found, int dim);
  const FoundRows* found() const { return any_found ? &found_rows : nullptr; }

 private:
  void AddFound(const FoundRows* found);
};

void TableSet::Merge::Clear() {
  distinct.Clear();
  workers.clear();
  found_rows.rows.clear();
  any_found = false;
}

void TableSet::Merge::AddFound(const FoundRows* found) {
  found_rows.rows.resize(distinct.size(), kNoRow);
  if (found == nullptr) return;
  any_found = true;
  // Those that found a row found the same one; kNoRow is greater than all.
  for (size_t i = 0; i < numbers.size(); ++i) {
    uint32_t& row = found_rows.rows[numbers[i]];
    row = std::min(row, found->rows[i]);
  }
}

void TableSet::Merge::Add(const TablePush& push, const FoundRows* found, int dim) {
  numbers.resize(push.keys.size());
  const int64_t before = distinct.size();
  distinct.Add(push.keys, numbers.data());
  AddFound(found);
  gradients.resize(distinct.size() * dim);
  workers.resize(distinct.size(), 0);
  int64_t next_new = before;
  DispatchDim(dim, [&](auto d) {
    for (size_t i = 0; i < numbers.size(); ++i) {
      const float* __restrict from = push.gradients + i * d;
      float* __restrict sum = gradients.data() + int64_t{numbers[i]} * d;
      // Numbers are given in order: a key's first push starts its sum.
      if (numbers[i] == next_new) {
        ++next_new;
        for (int c = 0; c < d; ++c) sum[c] = from[c];
      } else {
        for (int c = 0; c < d; ++c) sum[c] = sum[c] + from[c];
      }
      ++workers[numbers[i]];
    }
  });
}

TableSet::TableSet(std::vector<TableSpec> specs, int virtual_shards, const OwnerShare& share)
    : specs_(std::move(specs)),
      virtual_shards_(virtual_shards),
      memory_(std::make_unique<TableMemory>()),
      merge_(std::make_unique<Merge>()) {
  for (const TableSpec& spec : specs_) {
    tables_.push_back(std::make_unique<OwnedTable>(spec, virtual_shards, memory_.get()));
  }
  std::set<std::string> paths;
  for (const TableSpec& spec : specs_) {
    if (spec.disk_path.empty() || !paths.insert(spec.disk_path).second) continue;
    disk_status_ = OpenDisk(spec.disk_path, share);
    if (!disk_status_.ok()) return;
  }
}

TableSet::~TableSet() = default;

// One database for all tables that name the path. A fifth of their memory is its own.
Status TableSet::OpenDisk(const std::string& path, const OwnerShare& share) {
  const int num_shards = share.num_shards > 0 ? share.num_shards : virtual_shards_;
  auto bytes_of = [&](const TableSpec& spec) {
    const int64_t bytes = spec.limits.memory_bytes - FilterBytesMax(spec.limits.admission, virtual_shards_);
    return static_cast<int64_t>(static_cast<double>(bytes) * num_shards / virtual_shards_);
  };
  DiskRowsOptions options = {path, share.name, virtual_shards_, 0, {}};
  for (const TableSpec& spec : specs_) {
    if (spec.disk_path != path) continue;
    const int state_bytes = spec.layout.state_width() * static_cast<int>(sizeof(float));
    options.tables.push_back({spec.name, spec.layout.weight_bytes(), state_bytes});
    options.memory_bytes += bytes_of(spec) / 5;
  }
  WEIR_ASSIGN_OR_RETURN(std::unique_ptr<DiskRows> disk, DiskRows::Open(std::move(options)));
  int disk_table = 0;
  for (int table = 0; table < num_tables(); ++table) {
    const TableSpec& spec = specs_[table];
    if (spec.disk_path != path) continue;
    const int64_t rows_max = RowCache::RowsWithin(bytes_of(spec) - bytes_of(spec) / 5, spec.layout);
    tables_[table]->SetDisk(disk.get(), disk_table++, rows_max);
  }
  disks_.push_back(std::move(disk));
  return Status();
}

int64_t TableSet::num_rows(int table) const { return tables_[table]->num_rows(); }

int64_t TableSet::bytes(int table) const { return tables_[table]->bytes(); }

TableStats TableSet::stats(int table) const {
  TableStats stats;
  stats.rows = num_rows(table);
  stats.bytes = bytes(table);
  tables_[table]->AddDiskStats(&stats);
  stats += policy(table).stats();
  return stats;
}

const TablePolicy& TableSet::policy(int table) const { return tables_[table]->policy(); }

TablePolicy* TableSet::mutable_policy(int table) { return tables_[table]->mutable_policy(); }

void TableSet::ForgetTombstones() {
  for (auto& owned : tables_) owned->mutable_policy()->ForgetTombstones();
}

int64_t TableSet::bytes() const {
  int64_t bytes = memory_->index.free_bytes() + memory_->slabs.ready_bytes();
  for (const auto& owned : tables_) bytes += owned->bytes();
  for (const auto& disk : disks_) bytes += disk->memory_bytes();
  return bytes;
}

Status TableSet::Pull(int64_t step, PullKind kind, int table, std::span<const uint64_t> keys, float* rows,
                      FoundRows* found) {
  WEIR_RETURN_IF_ERROR(disk_status_);
  return tables_[table]->Pull(step, kind, keys, rows, found);
}

Status TableSet::Prefetch(int table, std::span<const uint64_t> keys) {
  WEIR_RETURN_IF_ERROR(disk_status_);
  return tables_[table]->Prefetch(keys);
}

Status TableSet::Apply(int64_t step, std::span<const std::vector<TablePush>> pushes, int64_t unix_ms) {
  WEIR_RETURN_IF_ERROR(disk_status_);
  std::vector<std::vector<const TablePush*>> by_table(tables_.size());  // in worker order
  for (const std::vector<TablePush>& worker : pushes) {
    for (const TablePush& push : worker) {
      CHECK(push.table >= 0 && push.table < num_tables()) << "table " << push.table << " of " << num_tables();
      if (!push.keys.empty()) by_table[push.table].push_back(&push);
    }
  }
  for (int table = 0; table < num_tables(); ++table) {
    const auto& of_table = by_table[table];
    if (of_table.empty()) continue;
    if (of_table.size() == 1) {
      WEIR_RETURN_IF_ERROR(Train(step, *of_table[0]));
      continue;
    }
    merge_->Clear();
    for (const TablePush* push : of_table) merge_->Add(*push, Found(*push), specs_[table].layout.dim);
    WEIR_RETURN_IF_ERROR(tables_[table]->Train(step, merge_->distinct.keys(), merge_->gradients.data(),
                                               merge_->workers.data(), merge_->found()));
  }
  EndStep(step, unix_ms);
  return Status();
}

Status TableSet::Train(int64_t step, const TablePush& push) {
  WEIR_RETURN_IF_ERROR(disk_status_);
  return tables_[push.table]->Train(step, push.keys, push.gradients, /*workers=*/nullptr, Found(push));
}

const FoundRows* TableSet::Found(const TablePush& push) const {
  const bool still = push.found != nullptr && tables_[push.table]->StillHas(*push.found, push.keys.size());
  return still ? push.found : nullptr;
}

void TableSet::EndStep(int64_t step, int64_t unix_ms) {
  for (auto& owned : tables_) owned->mutable_policy()->EndStep(step, unix_ms);
}

Status TableSet::Scan(int table, int shard_begin, int shard_end, int64_t rows_max,
                      const std::function<Status(const RowBlock&)>& visit) const {
  CHECK(shard_begin >= 0 && shard_end <= virtual_shards_) << shard_begin << " to " << shard_end;
  CHECK_GT(rows_max, 0);
  WEIR_RETURN_IF_ERROR(disk_status_);
  return tables_[table]->Scan(shard_begin, shard_end, rows_max, visit);
}

Status TableSet::Load(int table, const RowBlock& block) {
  WEIR_RETURN_IF_ERROR(disk_status_);
  return tables_[table]->Load(block);
}

}  // namespace weir
