// DeepFM (Guo et al., 2017): a factorisation machine and a deep net over the same factors, added up.

#include <fmt/format.h>

#include "models/layers/factorization_machine.h"
#include "models/layers/mlp.h"
#include "models/registry.h"

namespace weir {
namespace {

// A row is (first-order weight, factors). A numeric feature has the same as dense parameters, which its value
// multiplies.
class DeepFm : public Model {
 public:
  DeepFm(const Job& job, const FeatureSet& features, int dim)
      : sparse_(features.num_vectors()), numeric_(features.numeric_dim), dim_(dim) {
    const DeepFmConfig& config = job.model().deepfm();
    ParameterInit init(job.train().seed());
    if (numeric_ > 0) {
      numeric_weight_ = register_parameter("numeric_weight", init.Uniform({numeric_}, numeric_));
      numeric_factors_ = register_parameter("numeric_factors", init.Uniform({numeric_, dim_ - 1}, numeric_));
    }
    MlpOptions options{.inputs = (sparse_ + numeric_) * (dim_ - 1), .widths = {}, .dropout = config.dropout()};
    options.widths.assign(config.hidden().begin(), config.hidden().end());
    options.widths.push_back(1);
    deep_ = register_module("deep", std::make_shared<Mlp>(options, init));
  }

  torch::Tensor Net(const torch::Tensor& numeric, const torch::Tensor& pooled, const ForwardContext& context) override {
    const torch::Tensor rows = pooled.reshape({-1, sparse_, dim_});
    torch::Tensor first_order = rows.select(2, 0).sum(1);
    torch::Tensor factors = rows.slice(2, 1);  // [samples, sparse, dim - 1]
    if (numeric_ > 0) {
      first_order = first_order + at::mv(numeric, numeric_weight_);
      factors = at::cat({factors, numeric.unsqueeze(2) * numeric_factors_}, 1);
    }
    const torch::Tensor deep = deep_->Forward(factors.flatten(1), context).flatten();
    return first_order + SecondOrderTerm(factors) + deep;
  }

 private:
  const int64_t sparse_;   // vectors of the sparse features: one each, or one for each place of a sequence
  const int64_t numeric_;  // columns
  const int64_t dim_;
  torch::Tensor numeric_weight_;   // [numeric]; undefined without numeric features
  torch::Tensor numeric_factors_;  // [numeric, dim - 1]; undefined without numeric features
  std::shared_ptr<Mlp> deep_;      // its last bias is the net's
};

}  // namespace

Result<std::shared_ptr<Model>> MakeDeepFm(const Job& job, const FeatureSet& features) {
  WEIR_ASSIGN_OR_RETURN(const int dim, CommonDim(job, features));
  if (features.sparse.empty()) return InvalidArgument("expected at least one sparse feature, found none");
  if (dim < 2) {
    return InvalidArgument(
        fmt::format("expected tables of dim 2 or more (a first-order weight, then factors), found {} in table {}", dim,
                    job.tables(features.sparse.front().table).name()));
  }
  return std::shared_ptr<Model>(std::make_shared<DeepFm>(job, features, dim));
}

}  // namespace weir
