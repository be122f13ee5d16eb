#include "models/registry.h"

#include <array>
#include <cmath>
#include <string>
#include <vector>

#include <fmt/format.h>
#include <fmt/ranges.h>

namespace weir {
namespace {

constexpr std::array kModels = {
    ModelEntry{"deepfm", MakeDeepFm},
    ModelEntry{"dlrm", MakeDlrm},
    ModelEntry{"logistic_regression", MakeLogisticRegression},
};

// The section of job.model that is set, by its name in the schema; empty if none is.
std::string_view ModelName(const ModelConfig& config) {
  const google::protobuf::OneofDescriptor* kind = ModelConfig::descriptor()->FindOneofByName("kind");
  const google::protobuf::FieldDescriptor* field = config.GetReflection()->GetOneofFieldDescriptor(config, kind);
  return field == nullptr ? std::string_view() : std::string_view(field->name());
}

}  // namespace

std::span<const ModelEntry> RegisteredModels() { return kModels; }

Result<std::shared_ptr<Model>> MakeModel(const Job& job, const FeatureSet& features) {
  const std::string_view name = ModelName(job.model());
  std::vector<std::string_view> known;
  for (const ModelEntry& entry : kModels) {
    known.push_back(entry.name);
    if (entry.name != name) continue;
    Result<std::shared_ptr<Model>> model = entry.make(job, features);
    if (!model.ok()) return model.status().Wrap(fmt::format("model.{}", name));
    // He et al., 2014, section 6.3: p / (p + (1 - p) / share) has the logit of p, plus ln(share).
    (*model)->set_logit_shift(std::log(job.data().train().sampling().keep_negatives()));
    return model;
  }
  return InvalidArgument(fmt::format("model: expected one of {}, found {}", fmt::join(known, ", "),
                                     name.empty() ? "none" : fmt::format("'{}'", name)));
}

Result<int> CommonDim(const Job& job, const FeatureSet& features) {
  if (features.sparse.empty()) return 0;
  const SparseFeature& first = features.sparse.front();
  for (const SparseFeature& feature : features.sparse) {
    if (feature.dim == first.dim) continue;
    return InvalidArgument(
        fmt::format("expected all tables to have the same dim, found {} in table {} and {} in table {}", first.dim,
                    job.tables(first.table).name(), feature.dim, job.tables(feature.table).name()));
  }
  return first.dim;
}

}  // namespace weir
