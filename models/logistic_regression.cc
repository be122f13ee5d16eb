// Logistic regression: one weight per key and per numeric feature, and a bias. Of a sequence it adds all that are seen.

#include <fmt/format.h>

#include "models/layers/parameters.h"
#include "models/registry.h"

namespace weir {
namespace {

class LogisticRegression : public Model {
 public:
  LogisticRegression(const Job& job, const FeatureSet& features)
      : has_numeric_(!features.numeric.empty()), has_sparse_(!features.sparse.empty()) {
    ParameterInit init(job.train().seed());
    const auto inputs = int64_t{features.numeric_dim};
    if (has_numeric_) weight_ = register_parameter("weight", init.Uniform({1, inputs}, inputs));
    bias_ = register_parameter("bias", at::zeros({1}));
  }

  torch::Tensor Net(const torch::Tensor& numeric, const torch::Tensor& pooled, const ForwardContext&) override {
    if (!has_numeric_) return pooled.sum(1) + bias_;
    torch::Tensor logits = at::linear(numeric, weight_, bias_).flatten();
    return has_sparse_ ? logits + pooled.sum(1) : logits;
  }

 private:
  const bool has_numeric_;
  const bool has_sparse_;
  torch::Tensor weight_;  // [1, columns of numeric]; undefined without them
  torch::Tensor bias_;    // [1]
};

}  // namespace

Result<std::shared_ptr<Model>> MakeLogisticRegression(const Job& job, const FeatureSet& features) {
  for (const SparseFeature& feature : features.sparse) {
    if (feature.dim == 1) continue;
    return InvalidArgument(fmt::format("expected every table to have dim 1, found {} in table {}", feature.dim,
                                       job.tables(feature.table).name()));
  }
  if (features.sparse.empty() && features.numeric.empty()) return InvalidArgument("expected features, found none");
  return std::shared_ptr<Model>(std::make_shared<LogisticRegression>(job, features));
}

}  // namespace weir
