#include "models/layers/dot_interaction.h"

#include <algorithm>
#include <vector>

#include <gtest/gtest.h>

#include "models/layers/dot_interaction_kernel.h"
#include "tests/models/job_fixture.h"

namespace weir {
namespace {

struct Case {
  int64_t samples;
  int64_t count;
  int64_t dim;
  bool has_first;
};

class DotInteractionTest : public ::testing::TestWithParam<Case> {
 protected:
  DotInteractionTest() {
    const Case& c = GetParam();
    shape_ = {c.samples, c.count, c.dim, c.has_first};
    first_ = RandomTensor({c.samples, c.dim}, 1);
    rest_ = RandomTensor({c.samples, shape_.rest_count() * c.dim}, 2);
  }
  // Component d of vector i of a sample.
  double At(int64_t sample, int64_t i, int64_t d) const {
    if (shape_.has_first && i == 0) return first_.const_data_ptr<float>()[sample * shape_.dim + d];
    int64_t place = i - (shape_.has_first ? 1 : 0);
    return rest_.const_data_ptr<float>()[(sample * shape_.rest_count() + place) * shape_.dim + d];
  }

  DotInteractionShape shape_;
  torch::Tensor first_, rest_;
};

TEST_P(DotInteractionTest, ForwardIsTheOracles) {
  // What lies behind the last pair belongs to another part of the samples, which another thread writes.
  constexpr float kNotOurs = -7;
  std::vector<float> outputs(shape_.samples * shape_.output_width() + 16, kNotOurs);
  DotInteractionForward(shape_, first_.const_data_ptr<float>(), rest_.const_data_ptr<float>(), outputs.data());
  for (int i = 0; i < 16; ++i) ASSERT_EQ(outputs[shape_.samples * shape_.output_width() + i], kNotOurs);
  const float* out = outputs.data();
  for (int64_t s = 0; s < shape_.samples; ++s) {
    for (int64_t d = 0; shape_.has_first && d < shape_.dim; ++d) ASSERT_EQ(*out++, static_cast<float>(At(s, 0, d)));
    for (int64_t i = 1; i < shape_.count; ++i) {
      for (int64_t j = 0; j < i; ++j) {
        double dot = 0;
        for (int64_t d = 0; d < shape_.dim; ++d) dot += At(s, i, d) * At(s, j, d);
        ASSERT_NEAR(*out++, dot, 1e-5) << "sample " << s << " pair " << i << "," << j;
      }
    }
  }
}

TEST_P(DotInteractionTest, BackwardIsTheOracles) {
  torch::Tensor upstream = RandomTensor({shape_.samples, shape_.output_width()}, 3);
  const float* g = upstream.const_data_ptr<float>();
  std::vector<float> first_gradients(shape_.samples * shape_.dim), rest_gradients(rest_.numel());
  DotInteractionBackward(shape_, first_.const_data_ptr<float>(), rest_.const_data_ptr<float>(), g,
                         first_gradients.data(), rest_gradients.data());
  const int64_t skipped = shape_.has_first ? shape_.dim : 0;
  for (int64_t s = 0; s < shape_.samples; ++s, g += shape_.output_width()) {
    for (int64_t i = 0; i < shape_.count; ++i) {
      for (int64_t d = 0; d < shape_.dim; ++d) {
        const bool is_first = shape_.has_first && i == 0;
        double sum = is_first ? g[d] : 0;
        for (int64_t j = 0; j < shape_.count; ++j) {
          if (j == i) continue;
          const int64_t high = std::max(i, j), low = std::min(i, j);
          sum += g[skipped + high * (high - 1) / 2 + low] * At(s, j, d);
        }
        const int64_t place = i - (shape_.has_first ? 1 : 0);
        float found = is_first ? first_gradients[s * shape_.dim + d]
                               : rest_gradients[(s * shape_.rest_count() + place) * shape_.dim + d];
        ASSERT_NEAR(found, sum, 1e-5) << "sample " << s << " vector " << i << " component " << d;
      }
    }
  }
}

TEST_P(DotInteractionTest, KernelAgreesWithAten) {
  DotInteraction layer(shape_.count, shape_.dim, shape_.has_first);
  torch::Tensor upstream = RandomTensor({shape_.samples, layer.output_width()}, 3);
  std::vector<torch::Tensor> outputs, gradients;
  for (bool training : {true, false}) {
    torch::Tensor first = shape_.has_first ? first_.clone().requires_grad_() : torch::Tensor();
    torch::Tensor rest = rest_.clone().requires_grad_();
    torch::Tensor output = layer.Forward(first, rest, training);
    output.backward(upstream);
    outputs.push_back(output.detach());
    gradients.push_back(shape_.has_first ? at::cat({first.grad(), rest.grad()}, 1) : rest.grad());
  }
  EXPECT_TRUE(at::allclose(outputs[0], outputs[1], 1e-5, 1e-5));
  EXPECT_TRUE(at::allclose(gradients[0], gradients[1], 1e-5, 1e-5));
}

INSTANTIATE_TEST_SUITE_P(Shapes, DotInteractionTest,
                         ::testing::Values(Case{3, 27, 16, true}, Case{2, 27, 64, true}, Case{5, 10, 8, false},
                                           Case{1, 2, 1, true}, Case{1, 2, 3, false}, Case{2, 17, 17, false},
                                           Case{2, 33, 5, true}, Case{0, 4, 4, true}));

// Around the widths of tiles and registers.
std::vector<Case> EdgeCases() {
  std::vector<Case> cases;
  for (int64_t count : {2, 3, 4, 5, 6, 7, 15, 16, 17, 18, 20, 32, 34}) {
    for (int64_t dim : {1, 15, 16, 32, 33}) cases.push_back({2, count, dim, count % 2 == 0});
  }
  return cases;
}
INSTANTIATE_TEST_SUITE_P(Edges, DotInteractionTest, ::testing::ValuesIn(EdgeCases()));

}  // namespace
}  // namespace weir
