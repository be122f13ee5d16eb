// RowOptimizer: how a row learns from its gradient. One rule a file in this folder, listed in row_optimizer.cc;
// row_rule.h is what they share.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "base/isa.h"
#include "embeddings/row_layout.h"
#include "proto/job.pb.h"

namespace weir {

// A row to train, where the table keeps it.
struct RowRef {
  void* weights = nullptr;  // [layout.dim], of layout.weight_type
  float* state = nullptr;   // [layout.state_width()], aligned to 4 bytes only
  uint64_t key = 0;
};

// One per table; used by the table's owner thread. Arithmetic is float32, in one order whatever the instruction set:
// the same inputs give the same bits on all processors. Step constants are computed in float64 and rounded once.
class RowOptimizer {
 public:
  virtual ~RowOptimizer() = default;

  // Step the updates that follow belong to, 1-based: sets learning rate and bias corrections.
  virtual void BeginStep(int64_t step) = 0;

  // Trains rows that are distinct; gradients: [rows.size(), dim], row-major.
  virtual void Update(std::span<const RowRef> rows, const float* gradients) = 0;
};

// layout: the one that MakeRowLayout gives for `config`.
std::unique_ptr<RowOptimizer> MakeRowOptimizer(const RowLayout& layout, const OptimizerConfig& config,
                                               uint64_t table_seed, Isa isa = BestIsa());

// The state that the rule of `config` keeps in a row; row-wise AdaGrad's where none is set.
std::vector<StateColumn> RowStateColumns(int dim, const OptimizerConfig& config);

// The field of OptimizerConfig.rule that `config` has, or what stands in for it.
const char* RowRuleName(const OptimizerConfig& config);

}  // namespace weir
