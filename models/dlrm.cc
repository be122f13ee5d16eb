// DLRM (Naumov et al., 2019): a bottom net brings the numeric features to the embeddings' dim, all vectors are
// multiplied with one another, a top net reads the products.

#include <fmt/format.h>

#include "models/layers/dot_interaction.h"
#include "models/layers/mlp.h"
#include "models/registry.h"

namespace weir {
namespace {

class Dlrm : public Model {
 public:
  Dlrm(const Job& job, const FeatureSet& features, int dim) {
    const DlrmConfig& config = job.model().dlrm();
    ParameterInit init(job.train().seed());
    const bool has_bottom = !features.numeric.empty();
    if (has_bottom) {
      MlpOptions options{.inputs = int64_t{features.numeric_dim},
                         .widths = {config.bottom().begin(), config.bottom().end()},
                         .relu_last = true,
                         .dropout = config.dropout()};
      options.widths.push_back(dim);
      bottom_ = register_module("bottom", std::make_shared<Mlp>(options, init));
    }
    const int64_t count = int64_t{features.num_vectors()} + (has_bottom ? 1 : 0);
    interaction_ = register_module("interaction", std::make_shared<DotInteraction>(count, dim, has_bottom));
    MlpOptions options{.inputs = interaction_->output_width(),
                       .widths = {config.top().begin(), config.top().end()},
                       .dropout = config.dropout()};
    options.widths.push_back(1);
    top_ = register_module("top", std::make_shared<Mlp>(options, init));
  }

  torch::Tensor Net(const torch::Tensor& numeric, const torch::Tensor& pooled, const ForwardContext& context) override {
    torch::Tensor bottom;
    if (bottom_ != nullptr) bottom = bottom_->Forward(numeric, context);
    return top_->Forward(interaction_->Forward(bottom, pooled, context.training), context).flatten();
  }

 private:
  std::shared_ptr<Mlp> bottom_;  // null without numeric features
  std::shared_ptr<DotInteraction> interaction_;
  std::shared_ptr<Mlp> top_;
};

}  // namespace

Result<std::shared_ptr<Model>> MakeDlrm(const Job& job, const FeatureSet& features) {
  WEIR_ASSIGN_OR_RETURN(const int dim, CommonDim(job, features));
  const int vectors = features.num_vectors() + (features.numeric.empty() ? 0 : 1);
  if (features.sparse.empty() || vectors < 2) {
    return InvalidArgument(fmt::format(
        "expected a sparse feature and another one, sparse or numeric, to multiply it with; found {} sparse "
        "and {} numeric",
        features.sparse.size(), features.numeric.size()));
  }
  return std::shared_ptr<Model>(std::make_shared<Dlrm>(job, features, dim));
}

}  // namespace weir
