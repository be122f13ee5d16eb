#include "models/flat_parameters.h"

#include <algorithm>
#include <numeric>

#include <gtest/gtest.h>

#include "tests/models/job_fixture.h"

namespace weir {
namespace {

constexpr int64_t kSamples = 9;

struct Net {
  Job job = MakeJob(3, 2, 4, "dlrm { bottom: 5 top: 7 }");
  std::shared_ptr<Model> model = MakeModel(job, FeaturesOf(job)).value();
  torch::Tensor numeric = RandomTensor({kSamples, 2}, 1);
  torch::Tensor pooled = RandomTensor({kSamples, 12}, 2);
  std::vector<int64_t> sample_index = std::vector<int64_t>(kSamples, 0);

  torch::Tensor Forward() { return model->Forward(numeric, pooled, {true, 1, 1, sample_index.data()}); }
};

TEST(FlatParametersTest, LiesInNamedOrderOnCacheLines) {
  Net net;
  FlatParameters flat(*net.model);
  auto named = net.model->named_parameters();
  ASSERT_EQ(flat.parameters().size(), named.size());
  int64_t end = 0;
  for (size_t i = 0; i < named.size(); ++i) {
    const FlatParameter& place = flat.parameters()[i];
    EXPECT_EQ(place.name, named[i].key());
    EXPECT_EQ(place.shape, named[i].value().sizes().vec());
    EXPECT_EQ(place.offset % 16, 0);
    EXPECT_GE(place.offset, end);
    end = place.offset + place.size;
    EXPECT_EQ(named[i].value().const_data_ptr<float>(), flat.values().data() + place.offset);
  }
  EXPECT_LE(end, static_cast<int64_t>(flat.values().size()));
  EXPECT_EQ(flat.values().size(), flat.gradients().size());
  EXPECT_EQ(reinterpret_cast<uintptr_t>(flat.values().data()) % 64, 0u);
  EXPECT_EQ(reinterpret_cast<uintptr_t>(flat.gradients().data()) % 64, 0u);
}

TEST(FlatParametersTest, KeepsTheValues) {
  Net flat_net, plain;
  FlatParameters flat(*flat_net.model);
  EXPECT_TRUE(at::equal(flat_net.Forward(), plain.Forward()));
}

TEST(FlatParametersTest, BackwardWritesIntoTheBufferStepAfterStep) {
  Net net;
  FlatParameters flat(*net.model);
  std::vector<float> first;
  for (int step = 0; step < 3; ++step) {
    flat.ZeroGradients();
    net.Forward().sum().backward();
    for (size_t i = 0; i < flat.parameters().size(); ++i) {
      torch::Tensor parameter = net.model->named_parameters()[i].value();
      EXPECT_EQ(parameter.grad().const_data_ptr<float>(), flat.gradients().data() + flat.parameters()[i].offset);
    }
    std::vector<float> gradients(flat.gradients().begin(), flat.gradients().end());
    if (step == 0) first = gradients;
    EXPECT_EQ(gradients, first) << "step " << step;
  }
  EXPECT_NE(first, std::vector<float>(first.size(), 0.0f));
}

TEST(FlatParametersTest, GradientsAddUpUntilZeroed) {
  Net net;
  FlatParameters flat(*net.model);
  net.Forward().sum().backward();
  std::vector<float> once(flat.gradients().begin(), flat.gradients().end());
  net.Forward().sum().backward();
  for (size_t i = 0; i < once.size(); ++i) EXPECT_EQ(flat.gradients()[i], 2 * once[i]);
}

TEST(FlatParametersTest, AChangedValueIsSeenByTheNet) {
  Net net;
  FlatParameters flat(*net.model);
  torch::Tensor before = net.Forward();
  for (float& value : flat.values()) value *= 0.5f;
  EXPECT_FALSE(at::allclose(net.Forward(), before));
}

TEST(FlatParametersTest, TellsOfEachGradientOnceItIsInTheBuffer) {
  Net net;
  FlatParameters flat(*net.model);
  std::vector<size_t> came;
  std::vector<float> seen(flat.parameters().size());
  flat.SetOnGradient([&](size_t parameter) {
    came.push_back(parameter);
    seen[parameter] = flat.gradients()[flat.parameters()[parameter].offset];
  });
  for (int step = 0; step < 2; ++step) {
    came.clear();
    flat.ZeroGradients();
    net.Forward().sum().backward();
    std::vector<size_t> sorted = came;
    std::sort(sorted.begin(), sorted.end());
    std::vector<size_t> all(flat.parameters().size());
    std::iota(all.begin(), all.end(), 0);
    EXPECT_EQ(sorted, all);
    // The top net is registered last and comes first: what is summed first lies at the buffer's end.
    EXPECT_GE(came.front(), all.size() - 2);
    EXPECT_LT(came.back(), 2u);
    for (size_t i : all) EXPECT_EQ(seen[i], flat.gradients()[flat.parameters()[i].offset]);
  }
  flat.SetOnGradient({});
  came.clear();
  net.Forward().sum().backward();
  EXPECT_TRUE(came.empty());
}

// Registers two parameters and uses the first alone.
struct HalfUsed : torch::nn::Module {
  HalfUsed() {
    used = register_parameter("used", at::ones({3}));
    unused = register_parameter("unused", at::ones({3}));
  }
  torch::Tensor used, unused;
};

TEST(FlatParametersTest, SaysNothingOfAParameterThatTheGraphDoesNotUse) {
  HalfUsed net;
  FlatParameters flat(net);
  std::vector<size_t> came;
  flat.SetOnGradient([&](size_t parameter) { came.push_back(parameter); });
  (net.used * net.used).sum().backward();  // twice in the graph, once told
  EXPECT_EQ(came, std::vector<size_t>{0});
}

}  // namespace
}  // namespace weir
