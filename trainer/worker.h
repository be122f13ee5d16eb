// Worker: what one worker trains with. Everything is borrowed, so that a test can hold several in one process.
#pragma once

#include <cstdint>

#include "base/trace.h"
#include "batch/feature.h"
#include "embeddings/store.h"
#include "models/flat_parameters.h"
#include "models/model.h"
#include "proto/job.pb.h"
#include "trainer/collective.h"
#include "trainer/dense_optimizer.h"

namespace weir {

// All pointers outlive whoever holds the Worker; one thread.
struct Worker {
  const Job* job = nullptr;  // resolved
  const FeatureSet* features = nullptr;
  Model* model = nullptr;
  FlatParameters* parameters = nullptr;  // of model
  DenseOptimizer* optimizer = nullptr;   // of parameters
  EmbeddingStore* store = nullptr;
  Collective* collective = nullptr;
  Trace* trace = nullptr;  // null: none is kept
};

}  // namespace weir
