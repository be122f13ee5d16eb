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
  int table = 0;   // index into Job.tables
  int dim = 0;     // of that table
  int offset = 0;  // first column of its part of the pooled matrix [samples, pooled_dim]
  SparseConfig::Pooling pooling = SparseConfig::SUM;
  int config = 0;  // index into Job.features
  // For NONE: the vectors that it has side by side in the pooled matrix, one per value; 0 for all other poolings, which
  // give one.
  int max_length = 0;

  int num_vectors() const { return pooling == SparseConfig::NONE ? max_length : 1; }
  // Columns of its part of the pooled matrix.
  int pooled_dim() const { return num_vectors() * dim; }
};

// A number for the dense net, or a vector of them.
struct NumericFeature {
  std::string name;
  int config = 0;   // index into Job.features
  int offset = 0;   // first column of its part of the numeric matrix [samples, numeric_dim]
  int columns = 1;  // of its part: the numbers of a vector
};

// Columns of the numeric matrix that the feature has.
int NumericColumnsOf(const NumericConfig& config);

// Immutable once made.
struct FeatureSet {
  std::vector<SparseFeature> sparse;
  std::vector<NumericFeature> numeric;
  int pooled_dim = 0;   // sum of the sparse features' pooled_dim()
  int numeric_dim = 0;  // sum of the numeric features' columns

  // Vectors of a sample in the pooled matrix, over all sparse features.
  int num_vectors() const;

  // From a resolved job (ranges expanded, tables named). InvalidArgument when a feature names an unknown table, or all
  // of them together would have 2^31 columns or more.
  static Result<FeatureSet> FromJob(const Job& job);
};

}  // namespace weir
