#include "embeddings/table_set.h"

#include <algorithm>
#include <string_view>
#include <utility>

#include <fmt/format.h>
#include <glog/logging.h>

#include "embeddings/dim_dispatch.h"
#include "embeddings/distinct.h"
#include "embeddings/initializer.h"
#include "embeddings/optimizers/row_optimizer.h"
#include "embeddings/table.h"

namespace weir {
namespace {

// FNV-1a (Fowler, Noll and Vo), 64 bits.
uint64_t HashName(std::string_view name) {
  uint64_t hash = 0xcbf29ce484222325ULL;
  for (unsigned char byte : name) hash = (hash ^ byte) * 0x100000001b3ULL;
  return hash;
}

void InitializeState(const RowLayout& layout, float* state) {
  for (const StateColumn& column : layout.state) {
    std::fill_n(state, column.width, column.initial);
    state += column.width;
  }
}

}  // namespace

struct TableSet::OwnedTable {
  OwnedTable(const TableSpec& spec, int virtual_shards)
      : table(spec.layout, virtual_shards),
        initializer(MakeRowInitializer(spec.initializer, spec.layout.dim, spec.seed)),
        optimizer(MakeRowOptimizer(spec.layout, spec.optimizer, spec.seed)) {}

  Table table;
  std::unique_ptr<RowInitializer> initializer;
  std::unique_ptr<RowOptimizer> optimizer;
};

// The pushes of several workers for one table, merged.
struct TableSet::Merge {
  DistinctKeys distinct;
  std::vector<int32_t> numbers;   // of one push's keys
  std::vector<float> gradients;   // [distinct, dim], summed in worker order
  std::vector<uint32_t> workers;  // [distinct]: how many pushed the key

  void Add(const TablePush& push, int dim);
};

void TableSet::Merge::Add(const TablePush& push, int dim) {
  numbers.resize(push.keys.size());
  const int64_t before = distinct.size();
  distinct.Add(push.keys, numbers.data());
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

std::vector<TableSpec> TableSpecsFromJob(const Job& job) {
  std::vector<TableSpec> specs;
  for (const TableConfig& table : job.tables()) {
    const OptimizerConfig& optimizer = table.has_optimizer() ? table.optimizer() : job.optimizers().rows();
    const uint64_t seed = SplitMix64(SplitMix64(job.train().seed()) ^ HashName(table.name()));
    specs.push_back({table.name(), MakeRowLayout(table.dim(), optimizer), table.initializer(), optimizer, seed});
  }
  return specs;
}

TableSet::TableSet(std::vector<TableSpec> specs, int virtual_shards)
    : specs_(std::move(specs)), virtual_shards_(virtual_shards), merge_(std::make_unique<Merge>()) {
  for (const TableSpec& spec : specs_) tables_.push_back(std::make_unique<OwnedTable>(spec, virtual_shards));
}

TableSet::~TableSet() = default;

int64_t TableSet::num_rows(int table) const { return tables_[table]->table.num_rows(); }

int64_t TableSet::bytes() const {
  int64_t bytes = 0;
  for (const auto& owned : tables_) bytes += owned->table.bytes();
  return bytes;
}

TableStats TableSet::stats(int table) const {
  TableStats stats;
  stats.rows = num_rows(table);
  stats.bytes = tables_[table]->table.bytes();
  return stats;
}

void TableSet::Pull(int table, std::span<const uint64_t> keys, float* rows) const {
  const OwnedTable& owned = *tables_[table];
  DispatchDim(specs_[table].layout.dim, [&](auto dim) {
    const Row* found[Table::kBatch];
    for (size_t begin = 0; begin < keys.size(); begin += Table::kBatch) {
      const auto batch = keys.subspan(begin, std::min<size_t>(Table::kBatch, keys.size() - begin));
      owned.table.Find(batch, found);
      for (size_t i = 0; i < batch.size(); ++i) {
        float* __restrict to = rows + (begin + i) * dim;
        if (found[i] == nullptr) {
          owned.initializer->Initialize(batch[i], to);
          continue;
        }
        const float* __restrict from = found[i]->values();
        for (int c = 0; c < dim; ++c) to[c] = from[c];
      }
    }
  });
}

void TableSet::Apply(int64_t step, std::span<const std::vector<TablePush>> pushes, int64_t) {
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
      Train(table, step, of_table[0]->keys, of_table[0]->gradients, nullptr);
      continue;
    }
    merge_->distinct.Clear();
    merge_->workers.clear();
    for (const TablePush* push : of_table) merge_->Add(*push, specs_[table].layout.dim);
    Train(table, step, merge_->distinct.keys(), merge_->gradients.data(), merge_->workers.data());
  }
}

void TableSet::Train(int table, int64_t step, std::span<const uint64_t> keys, const float* gradients,
                     const uint32_t* workers) {
  OwnedTable& owned = *tables_[table];
  const RowLayout& layout = specs_[table].layout;
  owned.optimizer->BeginStep(step);
  Row* rows[Table::kBatch];
  bool inserted[Table::kBatch];
  RowRef refs[Table::kBatch];
  for (size_t begin = 0; begin < keys.size(); begin += Table::kBatch) {
    const auto batch = keys.subspan(begin, std::min<size_t>(Table::kBatch, keys.size() - begin));
    owned.table.FindOrInsert(batch, rows, inserted);
    for (size_t i = 0; i < batch.size(); ++i) {
      float* values = rows[i]->values();
      refs[i] = {values, values + layout.dim, batch[i]};
      if (inserted[i]) {
        owned.initializer->Initialize(batch[i], values);
        InitializeState(layout, refs[i].state);
      }
      rows[i]->last_step = step;
      rows[i]->count += workers == nullptr ? 1 : workers[begin + i];
    }
    owned.optimizer->Update(std::span<const RowRef>(refs, batch.size()), gradients + begin * layout.dim);
  }
}

Status TableSet::Scan(int table, int shard_begin, int shard_end, int64_t rows_max,
                      const std::function<Status(const RowBlock&)>& visit) const {
  CHECK(shard_begin >= 0 && shard_end <= virtual_shards_) << shard_begin << " to " << shard_end;
  CHECK_GT(rows_max, 0);
  const int64_t width = specs_[table].layout.width();
  std::vector<uint64_t> keys, counts;
  std::vector<int64_t> last_steps;
  std::vector<float> values;
  auto flush = [&]() -> Status {
    if (keys.empty()) return Status();
    const RowBlock block = {static_cast<int64_t>(keys.size()), keys.data(), last_steps.data(), counts.data(),
                            values.data()};
    Status status = visit(block);
    keys.clear(), counts.clear(), last_steps.clear(), values.clear();
    return status;
  };
  std::vector<const Row*> rows;
  for (int shard = shard_begin; shard < shard_end; ++shard) {
    tables_[table]->table.ShardRows(shard, &rows);
    for (const Row* row : rows) {
      keys.push_back(row->key);
      last_steps.push_back(row->last_step);
      counts.push_back(row->count);
      values.insert(values.end(), row->values(), row->values() + width);
      if (static_cast<int64_t>(keys.size()) == rows_max) WEIR_RETURN_IF_ERROR(flush());
    }
  }
  return flush();
}

Status TableSet::Load(int table, const RowBlock& block) {
  Table& into = tables_[table]->table;
  const int64_t width = specs_[table].layout.width();
  Row* rows[Table::kBatch];
  bool inserted[Table::kBatch];
  for (int64_t begin = 0; begin < block.num_rows; begin += Table::kBatch) {
    const int64_t n = std::min<int64_t>(Table::kBatch, block.num_rows - begin);
    into.FindOrInsert(std::span(block.keys + begin, n), rows, inserted);
    for (int64_t i = 0; i < n; ++i) {
      const int64_t at = begin + i;
      if (!inserted[i]) {
        return AlreadyExists(fmt::format("table {}: expected each key once, found key {} a second time",
                                         specs_[table].name, block.keys[at]));
      }
      rows[i]->last_step = block.last_steps[at];
      rows[i]->count = block.counts[at];
      std::copy_n(block.values + at * width, width, rows[i]->values());
    }
  }
  return Status();
}

}  // namespace weir
