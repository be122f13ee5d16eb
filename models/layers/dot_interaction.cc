#include "models/layers/dot_interaction.h"

#include <glog/logging.h>
#include <torch/csrc/autograd/custom_function.h>

#include "base/parallel_for.h"
#include "models/layers/dot_interaction_kernel.h"

namespace weir {
namespace {

using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

// Calls run(begin, part) for parts of the samples that together are all, side by side. A sample's numbers do not depend
// on the part it is in.
template <typename Run>
void ForSamples(const DotInteractionShape& shape, Run&& run) {
  constexpr int64_t kSamplesMin = 128;  // that pay for waking a thread
  ParallelFor(shape.samples, kSamplesMin, [&](int64_t begin, int64_t end) {
    DotInteractionShape part = shape;
    part.samples = end - begin;
    run(begin, part);
  });
}

class PairProducts : public torch::autograd::Function<PairProducts> {
 public:
  // Without a first vector, `first` has no values: the engine takes no undefined tensors.
  static torch::Tensor forward(AutogradContext* context, const torch::Tensor& first, const torch::Tensor& rest,
                               int64_t count, int64_t dim, bool has_first) {
    const torch::Tensor first_rows = first.contiguous();
    const torch::Tensor rest_rows = rest.contiguous();
    const DotInteractionShape shape{rest.size(0), count, dim, has_first};
    torch::Tensor output = at::empty({shape.samples, shape.output_width()}, rest.options());
    const float *first_data = first_rows.const_data_ptr<float>(), *rest_data = rest_rows.const_data_ptr<float>();
    float* output_data = output.mutable_data_ptr<float>();
    ForSamples(shape, [&](int64_t begin, const DotInteractionShape& part) {
      DotInteractionForward(part, first_data + begin * part.first_width(), rest_data + begin * part.rest_width(),
                            output_data + begin * part.output_width());
    });
    context->save_for_backward({first_rows, rest_rows});
    context->saved_data["count"] = count;
    context->saved_data["dim"] = dim;
    context->saved_data["has_first"] = has_first;
    return output;
  }

  static variable_list backward(AutogradContext* context, variable_list output_gradients) {
    const variable_list saved = context->get_saved_variables();
    const torch::Tensor &first = saved[0], &rest = saved[1];
    const DotInteractionShape shape{rest.size(0), context->saved_data["count"].toInt(),
                                    context->saved_data["dim"].toInt(), context->saved_data["has_first"].toBool()};
    const torch::Tensor output_gradient = output_gradients[0].contiguous();
    torch::Tensor first_gradient = at::empty_like(first), rest_gradient = at::empty_like(rest);
    const float *first_data = first.const_data_ptr<float>(), *rest_data = rest.const_data_ptr<float>();
    const float* output_data = output_gradient.const_data_ptr<float>();
    float* first_out = first_gradient.mutable_data_ptr<float>();
    float* rest_out = rest_gradient.mutable_data_ptr<float>();
    ForSamples(shape, [&](int64_t begin, const DotInteractionShape& part) {
      DotInteractionBackward(part, first_data + begin * part.first_width(), rest_data + begin * part.rest_width(),
                             output_data + begin * part.output_width(), first_out + begin * part.first_width(),
                             rest_out + begin * part.rest_width());
    });
    return {first_gradient, rest_gradient, torch::Tensor(), torch::Tensor(), torch::Tensor()};
  }
};

// The places of tril_indices(count, count, -1) in a flattened [count, count] matrix.
torch::Tensor LowerPairs(int64_t count) {
  torch::Tensor pairs = at::empty({count * (count - 1) / 2}, at::kLong);
  int64_t* out = pairs.mutable_data_ptr<int64_t>();
  for (int64_t i = 1; i < count; ++i) {
    for (int64_t j = 0; j < i; ++j) *out++ = i * count + j;
  }
  return pairs;
}

}  // namespace

DotInteraction::DotInteraction(int64_t count, int64_t dim, bool with_first)
    : count_(count), dim_(dim), with_first_(with_first) {
  CHECK_GE(count, 2);
  pairs_ = register_buffer("pairs", LowerPairs(count));
}

int64_t DotInteraction::output_width() const {
  return DotInteractionShape{0, count_, dim_, with_first_}.output_width();
}

torch::Tensor DotInteraction::Forward(const torch::Tensor& first, const torch::Tensor& rest, bool training) const {
  if (training) {
    return PairProducts::apply(with_first_ ? first : at::empty({0}, rest.options()), rest, count_, dim_, with_first_);
  }
  const torch::Tensor joined = with_first_ ? at::cat({first, rest}, 1) : rest;
  const torch::Tensor vectors = joined.reshape({-1, count_, dim_});
  const torch::Tensor gram = at::bmm(vectors, vectors.transpose(1, 2)).flatten(1);
  const torch::Tensor products = gram.index_select(1, pairs_);
  return with_first_ ? at::cat({first, products}, 1) : products;
}

}  // namespace weir
