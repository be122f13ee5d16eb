// Scorer: a trained model in this process, from a checkpoint: rows, dense net, and the pooling between them.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "base/file_system.h"
#include "base/status.h"
#include "batch/batch.h"
#include "batch/feature.h"
#include "embeddings/lookup.h"
#include "embeddings/row_files.h"
#include "embeddings/store.h"
#include "models/flat_parameters.h"
#include "models/model.h"

namespace weir {

// One thread at a time.
class Scorer {
 public:
  // `job` is the checkpoint's as far as features, tables and model go. Errors name the file and what was wrong with it.
  static Result<std::unique_ptr<Scorer>> Load(FileSystem* file_system, const Job& job, const std::string& checkpoint);

  // The probability of label 1 for each sample of the batch; labels are not read.
  Status Score(Batch& batch, std::vector<float>* scores);

 private:
  Scorer(const Job& job, FeatureSet features);

  const FeatureSet features_;
  Lookup lookup_;
  int64_t step_ = 0;
  std::shared_ptr<Model> model_;
  std::unique_ptr<RowFiles> row_files_;
  std::unique_ptr<EmbeddingStore> store_;
  std::vector<float> pooled_;  // [samples, pooled_dim]
};

}  // namespace weir
