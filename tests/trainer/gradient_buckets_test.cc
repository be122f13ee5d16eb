// The sum in buckets beside the backward pass, held to one all-reduce behind it.
#include "trainer/gradient_buckets.h"

#include <algorithm>
#include <cmath>
#include <functional>
#include <map>
#include <mutex>

#include <ATen/Parallel.h>
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/clock.h"
#include "tests/models/job_fixture.h"
#include "tests/trainer/workers.h"

namespace weir {
namespace {

using ::testing::HasSubstr;

constexpr int64_t kLong = 60 * kNanosPerSecond;
constexpr int64_t kSamples = 9;

// Notes which values of the buffer's gradients are started, and can fail at one.
class WatchedCollective : public Collective {
 public:
  explicit WatchedCollective(Collective* under) : under_(under) {}

  int rank() const override { return under_->rank(); }
  int size() const override { return under_->size(); }
  Status AllReduceSum(std::span<float> values) override { return under_->AllReduceSum(values); }
  Status AllReduceSum(std::span<double> values) override { return under_->AllReduceSum(values); }
  Result<SumTicket> StartAllReduceSum(std::span<float> values) override {
    if (static_cast<int>(started.size()) == fail_at) return Unavailable("the wire is cut");
    if (on_start) on_start();
    started.push_back(values);
    return under_->StartAllReduceSum(values);
  }
  Status PollSums() override {
    ++polls;
    return under_->PollSums();
  }
  Status FinishSum(SumTicket sum) override { return under_->FinishSum(sum); }
  Result<std::vector<std::vector<uint8_t>>> AllGather(std::span<const uint8_t> mine) override {
    return under_->AllGather(mine);
  }
  Status Broadcast(std::vector<uint8_t>* bytes) override { return under_->Broadcast(bytes); }
  Status Barrier() override { return under_->Barrier(); }

  std::vector<std::span<float>> started;
  std::function<void()> on_start;
  int polls = 0;
  int fail_at = -1;

 private:
  Collective* const under_;
};

// The same parameters on all workers, other samples on each, with gradients of very different size.
class Net {
 public:
  explicit Net(int rank) : rank_(rank) { at::set_num_threads(1); }

  void Backward() {
    const torch::Tensor numeric = RandomTensor({kSamples, 2}, 10 + rank_);
    const torch::Tensor pooled = RandomTensor({kSamples, 12}, 20 + rank_);
    const torch::Tensor logits = model_->Forward(numeric, pooled, {true, 1, 1, sample_index_.data()});
    (logits.sum() * std::ldexp(1.0, 7 * rank_)).backward();
  }

  FlatParameters& flat() { return flat_; }

 private:
  const int rank_;
  const Job job_ = MakeJob(3, 2, 4, "dlrm { bottom: 5 bottom: 6 top: 7 }");
  const std::shared_ptr<Model> model_ = MakeModel(job_, FeaturesOf(job_)).value();
  FlatParameters flat_{*model_};
  const std::vector<int64_t> sample_index_ = std::vector<int64_t>(kSamples, 0);
};

std::vector<float> Copy(std::span<const float> values) { return {values.begin(), values.end()}; }

// What one all-reduce after the backward pass makes of it; `backward`: whether this worker has samples.
std::vector<float> PlainSum(Net& net, Collective& workers, bool backward) {
  net.flat().ZeroGradients();
  if (backward) net.Backward();
  const Status status = workers.AllReduceSum(net.flat().gradients());
  EXPECT_TRUE(status.ok()) << status.ToString();
  return Copy(net.flat().gradients());
}

std::vector<float> BucketSum(Net& net, GradientBuckets& buckets, int64_t step, bool backward) {
  buckets.Begin(step);
  if (backward) net.Backward();
  EXPECT_TRUE(buckets.StartRest().ok());
  EXPECT_TRUE(buckets.Poll().ok());
  const Status status = buckets.FinishAll();
  EXPECT_TRUE(status.ok()) << status.ToString();
  return Copy(net.flat().gradients());
}

TEST(GradientBucketsTest, CoverTheBufferOnceFromItsEnd) {
  auto collectives = MakeInProcessCollectives(1, kLong);
  Net net(0);
  const size_t parameters = net.flat().parameters().size();
  const std::span<float> all = net.flat().gradients();
  std::map<int64_t, size_t> counts;
  for (int64_t bytes : {1, 64, 65, 200, 1000, 1 << 30}) {
    GradientBuckets buckets(&net.flat(), collectives[0].get(), bytes);
    const float* end = all.data() + all.size();
    for (size_t i = 0; i < buckets.num_buckets(); ++i) {
      const std::span<float> bucket = buckets.bucket(i);
      EXPECT_EQ(bucket.data() + bucket.size(), end);
      if (i + 1 < buckets.num_buckets()) {
        EXPECT_GE(static_cast<int64_t>(bucket.size_bytes()), bytes);
      }
      end = bucket.data();
    }
    EXPECT_EQ(end, all.data());
    counts[bytes] = buckets.num_buckets();
  }
  EXPECT_EQ(counts[1], parameters);
  EXPECT_GT(counts[200], 1u);
  EXPECT_LT(counts[200], parameters);
  EXPECT_EQ(counts[1 << 30], 1u);
}

TEST(GradientBucketsTest, GiveTheBitsOfOneSumWhateverTheirSize) {
  for (int64_t bytes : {1, 100, 500, 1 << 30}) {
    RunWorkers(3, kLong, [bytes](Collective& workers) {
      Net net(workers.rank());
      GradientBuckets buckets(&net.flat(), &workers, bytes);
      const std::vector<float> expected = PlainSum(net, workers, true);
      EXPECT_NE(expected, std::vector<float>(expected.size()));
      for (int step = 1; step <= 3; ++step) EXPECT_EQ(BucketSum(net, buckets, step, true), expected) << bytes;
    });
  }
}

TEST(GradientBucketsTest, AWorkerWithoutSamplesTakesPart) {
  for (int64_t bytes : {1, 1 << 30}) {
    RunWorkers(3, kLong, [bytes](Collective& workers) {
      Net net(workers.rank());
      GradientBuckets buckets(&net.flat(), &workers, bytes);
      for (int step = 1; step <= 3; ++step) {
        const bool has_samples = workers.rank() != step % 3;
        const std::vector<float> expected = PlainSum(net, workers, has_samples);
        EXPECT_EQ(BucketSum(net, buckets, step, has_samples), expected);
      }
    });
  }
}

TEST(GradientBucketsTest, StartWhileTheBackwardPassGoesOn) {
  auto collectives = MakeInProcessCollectives(1, kLong);
  WatchedCollective watched(collectives[0].get());
  Net net(0);
  GradientBuckets buckets(&net.flat(), &watched, 1);
  bool first_layer_was_done = true;
  watched.on_start = [&] {
    if (!watched.started.empty()) return;
    const std::span<float> first = net.flat().gradients().first(net.flat().parameters()[0].size);
    first_layer_was_done = std::any_of(first.begin(), first.end(), [](float value) { return value != 0; });
  };
  buckets.Begin(1);
  net.Backward();
  EXPECT_FALSE(first_layer_was_done);
  EXPECT_EQ(watched.started.size(), buckets.num_buckets());
  EXPECT_GE(watched.polls, static_cast<int>(buckets.num_buckets()) - 1);
  EXPECT_TRUE(buckets.StartRest().ok());
  EXPECT_EQ(watched.started.size(), buckets.num_buckets());
  EXPECT_TRUE(buckets.FinishAll().ok());
}

// Two parameters whose gradients come in the order that `a_last` says.
struct Branches : torch::nn::Module {
  Branches() {
    a = register_parameter("a", at::ones({40}));
    b = register_parameter("b", at::ones({30}));
    unused = register_parameter("unused", at::ones({20}));
  }

  void Backward(bool a_last, bool all) {
    torch::Tensor loss;
    auto add = [&](const torch::Tensor& parameter) {
      const torch::Tensor part = (parameter * parameter).sum();
      loss = loss.defined() ? loss + part : part;
    };
    if (all) add(unused);
    add(a_last ? a : b);
    add(a_last ? b : a);
    loss.backward();
  }

  torch::Tensor a, b, unused;
};

TEST(GradientBucketsTest, AreStartedInOneOrderWhateverTheOrderOfGradients) {
  std::mutex mutex;
  std::map<bool, std::vector<size_t>> orders_seen;  // of gradients, by a_last
  std::vector<std::vector<size_t>> started_sizes(2);
  RunWorkers(2, kLong, [&](Collective& workers) {
    at::set_num_threads(1);
    const bool a_last = workers.rank() == 0;
    Branches net;
    FlatParameters flat(net);
    std::vector<size_t> came;
    flat.SetOnGradient([&](size_t parameter) { came.push_back(parameter); });
    net.Backward(a_last, true);
    WatchedCollective watched(&workers);
    GradientBuckets buckets(&flat, &watched, 1);
    buckets.Begin(1);
    net.Backward(a_last, true);
    ASSERT_TRUE(buckets.StartRest().ok());
    const Status status = buckets.FinishAll();
    ASSERT_TRUE(status.ok()) << status.ToString();
    for (const torch::Tensor& parameter : net.parameters()) {
      EXPECT_TRUE(at::equal(parameter.grad(), at::full_like(parameter.grad(), 4.0)));
    }
    std::lock_guard lock(mutex);
    orders_seen[a_last] = came;
    for (std::span<float> values : watched.started) started_sizes[workers.rank()].push_back(values.size());
  });
  EXPECT_NE(orders_seen[false], orders_seen[true]);
  EXPECT_EQ(started_sizes[0], started_sizes[1]);
  EXPECT_EQ(started_sizes[0], (std::vector<size_t>{32, 32, 48}));  // unused, b, a, each with its filling
}

TEST(GradientBucketsTest, AParameterOutsideTheGraphHoldsNothingUpForGood) {
  RunWorkers(2, kLong, [&](Collective& workers) {
    at::set_num_threads(1);
    Branches net;
    FlatParameters flat(net);
    WatchedCollective watched(&workers);
    GradientBuckets buckets(&flat, &watched, 1);
    for (int step = 1; step <= 2; ++step) {
      watched.started.clear();
      buckets.Begin(step);
      net.Backward(true, false);
      EXPECT_TRUE(watched.started.empty());  // the first bucket is the unused parameter's
      ASSERT_TRUE(buckets.StartRest().ok());
      EXPECT_EQ(watched.started.size(), 3u);
      ASSERT_TRUE(buckets.FinishAll().ok());
      EXPECT_TRUE(at::equal(net.a.grad(), at::full({40}, 4.0)));
      EXPECT_TRUE(at::equal(net.b.grad(), at::full({30}, 4.0)));
      EXPECT_TRUE(at::equal(net.unused.grad(), at::zeros({20})));
    }
  });
}

struct ManyParameters : torch::nn::Module {
  ManyParameters() {
    for (int i = 0; i < 1500; ++i)
      all.push_back(register_parameter(fmt::format("p{}", i), at::full({1}, static_cast<double>(i), at::kFloat)));
  }
  std::vector<torch::Tensor> all;
};

TEST(GradientBucketsTest, AreNoMoreThanMayBeUnderWay) {
  RunWorkers(2, kLong, [](Collective& workers) {
    at::set_num_threads(1);
    ManyParameters net;
    FlatParameters flat(net);
    GradientBuckets buckets(&flat, &workers, 1);
    EXPECT_LT(buckets.num_buckets(), static_cast<size_t>(Collective::kSumsMax));
    EXPECT_GE(buckets.num_buckets(), 750u);
    buckets.Begin(1);
    (at::cat(net.all) * at::cat(net.all)).sum().backward();
    ASSERT_TRUE(buckets.StartRest().ok());
    ASSERT_TRUE(buckets.FinishAll().ok());
    for (int i = 0; i < 1500; ++i) ASSERT_EQ(net.all[i].grad().item<float>(), 4.0f * i);
  });
}

TEST(GradientBucketsTest, AWorkerThatLeavesIsNamedWithStepAndBucket) {
  RunWorkers(2, kLong, [](Collective& workers) {
    Net net(workers.rank());
    GradientBuckets buckets(&net.flat(), &workers, 1 << 30);
    buckets.Begin(7);
    net.Backward();
    ASSERT_TRUE(buckets.StartRest().ok());
    if (workers.rank() == 1) return;
    const Status status = buckets.FinishAll();
    EXPECT_EQ(status.code(), StatusCode::kUnavailable);
    EXPECT_THAT(status.message(), HasSubstr("step 7"));
    EXPECT_THAT(status.message(), HasSubstr("bucket 1 of 1"));
    EXPECT_THAT(status.message(), HasSubstr("rank 1 has left"));
  });
}

TEST(GradientBucketsTest, AnErrorWithinTheBackwardPassComesOutBehindIt) {
  auto collectives = MakeInProcessCollectives(1, kLong);
  WatchedCollective watched(collectives[0].get());
  watched.fail_at = 1;
  Net net(0);
  GradientBuckets buckets(&net.flat(), &watched, 1);
  buckets.Begin(7);
  net.Backward();
  EXPECT_EQ(watched.started.size(), 1u);
  const Status status = buckets.StartRest();
  EXPECT_EQ(status.code(), StatusCode::kUnavailable);
  EXPECT_THAT(status.message(), HasSubstr("step 7: the sum of the dense gradients, bucket 2 of 10: the wire is cut"));
}

TEST(GradientBucketsTest, LeaveTheNetAloneWhenTheyAreGone) {
  auto collectives = MakeInProcessCollectives(1, kLong);
  WatchedCollective watched(collectives[0].get());
  Net net(0);
  { GradientBuckets buckets(&net.flat(), &watched, 1); }
  net.Backward();
  EXPECT_TRUE(watched.started.empty());
  EXPECT_EQ(watched.polls, 0);
}

}  // namespace
}  // namespace weir
