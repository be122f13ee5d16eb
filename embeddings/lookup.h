// Lookup: what stands between a batch and the net. Finds the distinct keys of each table, holds the rows pulled for
// them, pools rows to the matrix that the net reads, and sums the net's gradient back into one gradient per row.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "batch/batch.h"
#include "batch/feature.h"
#include "embeddings/store.h"

namespace weir {

class DistinctKeys;

// One thread at a time; reused from step to step, so that its buffers stay allocated. Several may be in flight.
class Lookup {
 public:
  // dims: of each table of the job.
  Lookup(const FeatureSet& features, std::vector<int> dims);
  ~Lookup();

  // Takes a batch: distinct keys per table in first-seen order, over all features that share the table. Values of a
  // sequence past its max_length have no part in it. The batch's sparse part is copied as far as it is needed later.
  void Prepare(const Batch& batch);

  int64_t num_samples() const;
  // What to pull: one entry per table with keys, rows pointing into this lookup. Valid until the next Prepare.
  std::span<const TablePull> pulls() const;

  // After the pull: pooled [num_samples, pooled_dim], row-major, each feature as its pooling says
  // (embeddings/pooling.h).
  void Pool(float* pooled) const;

  // After the backward pass: from d loss / d pooled, one gradient per distinct key (a fixed order of sums). The pulled
  // rows must be as they were. The result is what to push, valid until the next Prepare.
  std::span<const TablePush> Gradients(const float* pooled_gradient);

  // Values looked up and distinct keys of the last batch, over all tables.
  int64_t num_values() const;
  int64_t num_distinct() const;

 private:
  struct TableState;
  struct FeatureState;

  // The gradients of what one table pulled.
  void SumGradients(const TablePull& pull, const float* pooled_gradient);

  const FeatureSet features_;
  const std::vector<int> dims_;
  int64_t num_samples_ = 0;
  std::unique_ptr<DistinctKeys> distinct_;  // one table after the other: small enough to stay in the cache
  Jagged cut_;                              // of the feature being prepared
  std::vector<TableState> tables_;
  std::vector<FeatureState> states_;
  std::vector<TablePull> pulls_;
  std::vector<TablePush> pushes_;
};

}  // namespace weir
