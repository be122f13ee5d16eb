#include "batch/feature.h"

#include <algorithm>
#include <map>

#include <fmt/format.h>

namespace weir {

int NumericColumnsOf(const NumericConfig& config) { return std::max(config.length(), 1); }

Result<FeatureSet> FeatureSet::FromJob(const Job& job) {
  std::map<std::string, int> table_index;
  for (int t = 0; t < job.tables_size(); ++t) table_index[job.tables(t).name()] = t;

  FeatureSet set;
  for (int f = 0; f < job.features_size(); ++f) {
    const FeatureConfig& config = job.features(f);
    if (config.has_numeric()) {
      const int columns = NumericColumnsOf(config.numeric());
      if (columns > INT32_MAX - set.numeric_dim) {
        return InvalidArgument(
            fmt::format("feature {}: expected at most 2^31-1 numbers of all features, found more: lower its length",
                        config.name()));
      }
      set.numeric.push_back({config.name(), f, set.numeric_dim, columns});
      set.numeric_dim += columns;
      continue;
    }
    auto found = table_index.find(config.sparse().table());
    if (found == table_index.end()) {
      return InvalidArgument(
          fmt::format("feature {}: expected sparse.table to name one of the job's tables, found '{}'", config.name(),
                      config.sparse().table()));
    }
    const int dim = job.tables(found->second).dim();
    set.sparse.push_back({config.name(), found->second, dim, set.pooled_dim, config.sparse().pooling(), f,
                          config.sparse().pooling() == SparseConfig::NONE ? config.sparse().max_length() : 0});
    const int64_t pooled_dim = int64_t{set.pooled_dim} + int64_t{set.sparse.back().num_vectors()} * dim;
    if (pooled_dim > INT32_MAX) {
      return InvalidArgument(
          fmt::format("feature {}: expected at most 2^31-1 columns of embeddings for all features, "
                      "found {} with this one: lower its max_length",
                      config.name(), pooled_dim));
    }
    set.pooled_dim = static_cast<int>(pooled_dim);
  }
  return set;
}

int FeatureSet::num_vectors() const {
  int vectors = 0;
  for (const SparseFeature& feature : sparse) vectors += feature.num_vectors();
  return vectors;
}

}  // namespace weir
