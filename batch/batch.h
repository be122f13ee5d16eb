// Batch: the samples of one step that one worker trains, as the loader hands them on.
#pragma once

#include <cstdint>
#include <vector>

#include "batch/jagged.h"
#include "batch/sample_ids.h"

namespace weir {

struct Batch {
  int64_t num_samples = 0;
  // One per sparse feature, in FeatureSet order; keys, already hashed.
  std::vector<Jagged> sparse;
  // [num_samples, FeatureSet.numeric_dim], row-major, transformed.
  std::vector<float> numeric;
  // [num_samples], in [0, 1].
  std::vector<float> labels;
  // [num_samples], > 0; all 1 without data.weight_column.
  std::vector<float> weights;
  // [num_samples], ascending: the sample's place among the samples of the step over all workers. Together with the step
  // it names a sample whatever the number of workers; dropout is drawn from it.
  std::vector<int64_t> sample_index;
  // One a sample with data.ledger, else none.
  SampleIds ids;
};

}  // namespace weir
