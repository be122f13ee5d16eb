#include "trainer/metrics.h"

#include <cmath>
#include <limits>
#include <mutex>
#include <optional>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/clock.h"
#include "base/random.h"
#include "tests/trainer/workers.h"
#include "trainer/auc.h"

namespace weir {
namespace {

using ::testing::HasSubstr;

constexpr int64_t kLong = 60 * kNanosPerSecond;

struct Samples {
  std::vector<float> logits, labels, weights;
};

Samples RandomSamples(size_t count, bool weighted) {
  Samples samples;
  for (size_t i = 0; i < count; ++i) {
    auto draw = [&](uint64_t what) { return RandomBits(3, RandomPurpose::kSampling, i, what); };
    // A mixture: half of the samples share 16 scores, the others hardly share any.
    const float spread = UnitFloat(draw(0)) * 8 - 4;
    samples.logits.push_back(draw(3) & 1 ? std::floor(spread * 2) / 2 : spread);
    samples.labels.push_back(UnitFloat(draw(1)) * 8 - 4 < spread ? 1.0f : 0.0f);
    samples.weights.push_back(weighted ? UnitFloat(draw(2)) * 2 : 1.0f);
  }
  return samples;
}

// Worker r of n takes the samples r, r + n, ...; all workers must get the same bits.
Evaluation Evaluate(const Samples& samples, int workers, int64_t group_limit) {
  std::mutex mutex;
  std::vector<Evaluation> found;
  RunWorkers(workers, kLong, [&](Collective& collective) {
    EvaluationAccumulator accumulator;
    for (size_t i = collective.rank(); i < samples.logits.size(); i += collective.size()) {
      accumulator.Add(std::span(&samples.logits[i], 1), std::span(&samples.labels[i], 1),
                      std::span(&samples.weights[i], 1));
    }
    auto evaluation = accumulator.Finish(collective, 7, group_limit);
    ASSERT_TRUE(evaluation.ok()) << evaluation.status().ToString();
    std::lock_guard lock(mutex);
    found.push_back(*evaluation);
  });
  for (const Evaluation& other : found) EXPECT_EQ(other.SerializeAsString(), found[0].SerializeAsString());
  return found.at(0);
}

// The formulas as they are written in books, in long double.
void ExpectFigures(const Evaluation& evaluation, const Samples& samples) {
  long double loss = 0, weight = 0, predicted = 0, labels = 0;
  for (size_t i = 0; i < samples.logits.size(); ++i) {
    const long double p = 1 / (1 + std::exp(-static_cast<long double>(samples.logits[i])));
    const long double y = samples.labels[i], w = samples.weights[i];
    loss -= w * (y * std::log(p) + (1 - y) * std::log(1 - p));
    weight += w;
    predicted += w * p;
    labels += w * y;
  }
  EXPECT_EQ(evaluation.step(), 7);
  EXPECT_EQ(evaluation.samples(), static_cast<int64_t>(samples.logits.size()));
  EXPECT_NEAR(evaluation.logloss(), static_cast<double>(loss / weight), 1e-12);
  EXPECT_NEAR(evaluation.calibration(), static_cast<double>(predicted / labels), 1e-12);
  EXPECT_NEAR(evaluation.auc(), **RocAuc(samples.logits, samples.labels, samples.weights), 1e-12);
}

TEST(EvaluationAccumulator, MeasuresAllWorkers) {
  const Samples samples = RandomSamples(5000, true);
  for (int workers = 1; workers <= 4; ++workers) {
    for (int64_t group_limit : {1, 100, 1 << 20}) ExpectFigures(Evaluate(samples, workers, group_limit), samples);
  }
}

TEST(EvaluationAccumulator, AucWithoutWeightsIsTheSameForAnyNumberOfWorkers) {
  const Samples samples = RandomSamples(3000, false);
  const double expected = **RocAuc(samples.logits, samples.labels);
  for (int workers = 1; workers <= 4; ++workers) EXPECT_EQ(Evaluate(samples, workers, 64).auc(), expected);
}

TEST(EvaluationAccumulator, AWorkerWithoutSamplesJoins) {
  Samples samples = RandomSamples(2, false);
  samples.labels = {0, 1};
  ExpectFigures(Evaluate(samples, 4, 1000), samples);
}

TEST(EvaluationAccumulator, AucIsAbsentForOneClass) {
  Samples samples = RandomSamples(100, false);
  samples.labels.assign(100, 0.0f);
  const Evaluation evaluation = Evaluate(samples, 2, 1000);
  EXPECT_FALSE(evaluation.has_auc());
  EXPECT_FALSE(evaluation.has_calibration());
  EXPECT_TRUE(evaluation.has_logloss());
}

TEST(EvaluationAccumulator, OneBadPredictionIsAnErrorOnAllWorkers) {
  for (float bad : {std::nanf(""), std::numeric_limits<float>::infinity()}) {
    RunWorkers(3, kLong, [bad](Collective& collective) {
      EvaluationAccumulator accumulator;
      const std::vector<float> logits = {0, collective.rank() == 1 ? bad : 0.0f};
      accumulator.Add(logits, std::vector<float>{0, 1}, {});
      auto evaluation = accumulator.Finish(collective, 42);
      EXPECT_EQ(evaluation.status().code(), StatusCode::kOutOfRange);
      EXPECT_THAT(evaluation.status().message(), HasSubstr("step 42"));
      EXPECT_THAT(evaluation.status().message(), HasSubstr("1 of 6"));
    });
  }
}

TEST(EvaluationAccumulator, NothingToMeasureIsAnError) {
  auto alone = MakeInProcessCollectives(1, kLong);
  EvaluationAccumulator accumulator;
  EXPECT_EQ(accumulator.Finish(*alone[0], 1).status().code(), StatusCode::kFailedPrecondition);
  accumulator.Add(std::vector<float>{1}, std::vector<float>{1}, std::vector<float>{0});
  EXPECT_EQ(accumulator.Finish(*alone[0], 1).status().code(), StatusCode::kFailedPrecondition);
}

TEST(LogLoss, IsStable) {
  EXPECT_DOUBLE_EQ(LogLoss(0, 1), std::log(2));
  EXPECT_DOUBLE_EQ(LogLoss(1000, 0), 1000);
  EXPECT_DOUBLE_EQ(LogLoss(-1000, 1), 1000);
  EXPECT_EQ(LogLoss(1000, 1), 0);
  EXPECT_EQ(LogLoss(3e38f, 1), 0);
  EXPECT_NEAR(LogLoss(40, 1), 4.248354255291589e-18, 1e-30);
  EXPECT_NEAR(LogLoss(2, 0.25f), 0.75 * 2 + std::log1p(std::exp(-2.0)), 1e-15);
  EXPECT_DOUBLE_EQ(Sigmoid(0), 0.5);
  EXPECT_DOUBLE_EQ(Sigmoid(-700), std::exp(-700.0));
  EXPECT_EQ(Sigmoid(700), 1.0);
}

TEST(RollingWindow, MeasuresTheLastSamples) {
  const Samples samples = RandomSamples(1000, true);
  RollingWindow window(300);
  EXPECT_FALSE(window.Measure().logloss.has_value());
  size_t added = 0;
  for (size_t batch : {1, 100, 250, 7, 400, 242}) {
    auto part = [&](const std::vector<float>& values) { return std::span(values).subspan(added, batch); };
    window.Add(part(samples.logits), part(samples.labels), part(samples.weights));
    added += batch;
    const size_t begin = added < 300 ? 0 : added - 300;
    auto last = [&](const std::vector<float>& values) { return std::span(values).subspan(begin, added - begin); };
    double loss = 0, weight = 0;
    for (size_t i = begin; i < added; ++i) {
      loss += samples.weights[i] * LogLoss(samples.logits[i], samples.labels[i]);
      weight += samples.weights[i];
    }
    const WindowMetrics metrics = window.Measure();
    EXPECT_EQ(metrics.samples, static_cast<int64_t>(added - begin));
    EXPECT_NEAR(*metrics.logloss, loss / weight, 1e-12);
    const std::optional<double> auc = *RocAuc(last(samples.logits), last(samples.labels), last(samples.weights));
    ASSERT_EQ(metrics.auc.has_value(), auc.has_value());
    EXPECT_NEAR(metrics.auc.value_or(0), auc.value_or(0), 1e-12);
  }
  EXPECT_EQ(added, 1000u);
}

TEST(RollingWindow, LeavesOutWhatIsNotFinite) {
  RollingWindow window(10);
  window.Add(std::vector<float>{std::nanf(""), 0}, std::vector<float>{1, 1}, {});
  EXPECT_EQ(window.Measure().samples, 1);
  EXPECT_NEAR(*window.Measure().logloss, std::log(2), 1e-12);
}

}  // namespace
}  // namespace weir
