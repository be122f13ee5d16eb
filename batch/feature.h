// FeatureSet: the job's features in the order in which batches, lookups and models hold them.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/status.h"
#include "proto/job.pb.h"

namespace weir {

// A feature that looks up rows.
struct SparseFeature {
  std::string name;
  int table = 0;    // index into Job.tables
  int dim = 0;      // of that table
  int offset = 0;   // first column of its vector in the pooled matrix [samples, pooled_dim]
  SparseConfig::Pooling pooling = SparseConfig::SUM;
  int config = 0;   // index into Job.features
};

// A number for the dense net.
struct NumericFeature {
  std::string name;
  int config = 0;   // index into Job.features
};

// Immutable once made.
struct FeatureSet {
  std::vector<SparseFeature> sparse;
  std::vector<NumericFeature> numeric;
  int pooled_dim = 0;  // sum of the sparse features' dims

  // From a resolved job (ranges expanded, tables named). InvalidArgument when a feature names an unknown table.
  static Result<FeatureSet> FromJob(const Job& job);
};

}  // namespace weir
