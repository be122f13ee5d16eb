// OwnedTable: one table of an owner: its rows, how they begin and how they learn.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <vector>

#include "base/status.h"
#include "embeddings/initializer.h"
#include "embeddings/optimizers/row_optimizer.h"
#include "embeddings/table.h"
#include "embeddings/table_spec.h"

namespace weir {

// Used by the owner thread alone.
class OwnedTable {
 public:
  // memory: the owner's, outlives the table.
  OwnedTable(const TableSpec& spec, int virtual_shards, TableMemory* memory);
  ~OwnedTable();

  const Table& table() const { return table_; }

  // Copies the weights of `keys` to rows [keys.size(), dim]; a key without a row gets its initial weights.
  void Pull(std::span<const uint64_t> keys, float* rows) const;

  // One step on distinct keys: rows that are there first, then those that must be made. gradients: [keys.size(), dim],
  // summed over workers; workers[i] is how many pushed keys[i], null for one each.
  void Train(int64_t step, std::span<const uint64_t> keys, const float* gradients, const uint32_t* workers);

  // See TableSet.
  Status Scan(int shard_begin, int shard_end, int64_t rows_max,
              const std::function<Status(const RowBlock&)>& visit) const;
  Status Load(const RowBlock& block);

 private:
  struct Step;  // the arguments of Train

  void TrainFound(const Step& step, size_t begin, size_t end);
  void MakeRows(const Step& step, std::span<const uint32_t> missing);
  void InitializeRow(uint64_t key, uint32_t row);
  // Weights as a block has them.
  void ReadWeights(const void* weights, float* to) const;
  void WriteWeights(const float* from, void* weights) const;
  // What a new row of the key weighs, as it reads once it was stored.
  void InitialWeights(uint64_t key, float* to) const;

  const TableSpec spec_;
  const int virtual_shards_;
  Table table_;
  std::unique_ptr<RowInitializer> initializer_;
  std::unique_ptr<RowOptimizer> optimizer_;
  std::vector<float> initial_state_;  // [state_width]
  // Kept from call to call for their memory.
  mutable std::vector<uint32_t> rows_;
  std::vector<RowRef> refs_;
  std::vector<uint32_t> missing_;
  std::vector<float> missing_gradients_;
};

}  // namespace weir
