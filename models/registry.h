// The models by name. A model is one source file with one of the functions below, and one line in registry.cc.
#pragma once

#include <memory>
#include <span>
#include <string_view>

#include "models/model.h"

namespace weir {

// Makes a model from its section of job.model, which is set. InvalidArgument when tables or features do not suit it.
using ModelFactory = Result<std::shared_ptr<Model>> (*)(const Job& job, const FeatureSet& features);

struct ModelEntry {
  std::string_view name;  // the section's name in ModelConfig
  ModelFactory make;
};

// By ascending name. Constant.
std::span<const ModelEntry> RegisteredModels();

Result<std::shared_ptr<Model>> MakeDeepFm(const Job& job, const FeatureSet& features);
Result<std::shared_ptr<Model>> MakeDlrm(const Job& job, const FeatureSet& features);
Result<std::shared_ptr<Model>> MakeLogisticRegression(const Job& job, const FeatureSet& features);

// The dim that all tables looked up by `features` have; 0 without sparse features. InvalidArgument names two tables
// that differ.
Result<int> CommonDim(const Job& job, const FeatureSet& features);

}  // namespace weir
