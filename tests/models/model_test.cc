#include "models/model.h"

#include <numeric>
#include <set>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "models/flat_parameters.h"
#include "models/registry.h"
#include "tests/models/job_fixture.h"

namespace weir {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

Status MakeError(const Job& job) { return MakeModel(job, FeaturesOf(job)).status(); }

std::vector<std::string> ParameterNames(const Job& job) {
  return MakeModel(job, FeaturesOf(job)).value()->named_parameters().keys();
}

TEST(ModelTest, NoModelNamedListsTheKnownOnes) {
  Status status = MakeError(MakeJob(2, 0, 4, ""));
  EXPECT_EQ(status.code(), StatusCode::kInvalidArgument);
  EXPECT_THAT(status.message(), HasSubstr("expected one of deepfm, dlrm, logistic_regression, found none"));
}

TEST(ModelTest, EveryModelOfTheSchemaIsRegistered) {
  const google::protobuf::OneofDescriptor* kind = ModelConfig::descriptor()->FindOneofByName("kind");
  std::set<std::string> schema, registered;
  for (int i = 0; i < kind->field_count(); ++i) schema.insert(kind->field(i)->name());
  for (const ModelEntry& entry : RegisteredModels()) registered.emplace(entry.name);
  EXPECT_EQ(registered, schema);
}

TEST(ModelTest, RefusesDimsThatDoNotSuit) {
  EXPECT_THAT(MakeError(MakeJob(2, 0, 4, "logistic_regression {}")).message(),
              HasSubstr("model.logistic_regression: expected every table to have dim 1, found 4 in table C0"));
  EXPECT_THAT(MakeError(MakeJob(2, 0, 1, "deepfm {}")).message(), HasSubstr("dim 2 or more"));
  for (const char* model : {"deepfm {}", "dlrm {}"}) {
    Job job = MakeJob(3, 0, 4, model);
    job.mutable_tables(2)->set_dim(8);
    EXPECT_THAT(MakeError(job).message(), HasSubstr("the same dim, found 4 in table C0 and 8 in table C2"));
  }
}

TEST(ModelTest, RefusesTooFewFeatures) {
  EXPECT_THAT(MakeError(MakeJob(1, 0, 4, "dlrm {}")).message(), HasSubstr("found 1 sparse and 0 numeric"));
  EXPECT_THAT(MakeError(MakeJob(0, 3, 4, "dlrm {}")).message(), HasSubstr("found 0 sparse and 3 numeric"));
  EXPECT_THAT(MakeError(MakeJob(0, 3, 4, "deepfm {}")).message(), HasSubstr("at least one sparse"));
  EXPECT_THAT(MakeError(MakeJob(0, 0, 4, "logistic_regression {}")).message(), HasSubstr("found none"));
}

TEST(ModelTest, ParametersHaveTheirNames) {
  EXPECT_THAT(ParameterNames(MakeJob(2, 3, 1, "logistic_regression {}")), ElementsAre("weight", "bias"));
  EXPECT_THAT(ParameterNames(MakeJob(2, 0, 1, "logistic_regression {}")), ElementsAre("bias"));
  EXPECT_THAT(
      ParameterNames(MakeJob(2, 3, 4, "deepfm { hidden: 8 }")),
      ElementsAre("numeric_weight", "numeric_factors", "deep.0.weight", "deep.0.bias", "deep.1.weight", "deep.1.bias"));
  EXPECT_THAT(ParameterNames(MakeJob(2, 3, 4, "dlrm { bottom: 8 top: 9 }")),
              ElementsAre("bottom.0.weight", "bottom.0.bias", "bottom.1.weight", "bottom.1.bias", "top.0.weight",
                          "top.0.bias", "top.1.weight", "top.1.bias"));
  EXPECT_THAT(ParameterNames(MakeJob(3, 0, 4, "dlrm { bottom: 8 top: 9 }")),
              ElementsAre("top.0.weight", "top.0.bias", "top.1.weight", "top.1.bias"));
}

TEST(ModelTest, InitialParametersAreAFunctionOfTheSeed) {
  Job job = MakeJob(3, 2, 4, "dlrm { bottom: 8 top: 9 }");
  auto values = [](const Job& j) {
    std::shared_ptr<Model> model = MakeModel(j, FeaturesOf(j)).value();
    FlatParameters flat(*model);
    return std::vector<float>(flat.values().begin(), flat.values().end());
  };
  std::vector<float> first = values(job);
  EXPECT_EQ(values(job), first);
  job.mutable_train()->set_seed(8);
  EXPECT_NE(values(job), first);
}

TEST(ModelTest, InitialParametersFillPyTorchsRange) {
  Job job = MakeJob(3, 16, 4, "dlrm { bottom: 400 top: 9 }");
  std::shared_ptr<Model> model = MakeModel(job, FeaturesOf(job)).value();
  torch::Tensor weight = *model->named_parameters().find("bottom.0.weight");  // 16 inputs: within 1/4
  EXPECT_LE(weight.abs().max().item<float>(), 0.25f);
  EXPECT_GT(weight.abs().max().item<float>(), 0.249f);
  EXPECT_NEAR(weight.mean().item<float>(), 0, 0.01);
  EXPECT_NEAR(weight.std().item<float>(), 0.25 / std::sqrt(3.0), 0.005);
}

struct Shape {
  const char* model;
  int sparse;
  int numeric;
  int dim;
};

class EveryModelTest : public ::testing::TestWithParam<Shape> {
 protected:
  EveryModelTest() : job_(MakeJob(GetParam().sparse, GetParam().numeric, GetParam().dim, GetParam().model)) {
    model_ = MakeModel(job_, FeaturesOf(job_)).value();
  }
  torch::Tensor Numeric(int64_t samples) const { return RandomTensor({samples, GetParam().numeric}, 1); }
  torch::Tensor Pooled(int64_t samples) const { return RandomTensor({samples, GetParam().sparse * GetParam().dim}, 2); }

  Job job_;
  std::shared_ptr<Model> model_;
};

TEST_P(EveryModelTest, TwoWorkersHalvesAreTheWhole) {
  constexpr int64_t kSamples = 12;
  torch::Tensor numeric = Numeric(kSamples), pooled = Pooled(kSamples);
  std::vector<int64_t> index(kSamples);
  std::iota(index.begin(), index.end(), 0);
  torch::Tensor whole = model_->Forward(numeric, pooled, {true, 3, 4, index.data()});
  // Worker 0 has the even samples, worker 1 the odd ones.
  for (int64_t worker = 0; worker < 2; ++worker) {
    std::vector<int64_t> mine;
    for (int64_t i = worker; i < kSamples; i += 2) mine.push_back(i);
    torch::Tensor half = model_->Forward(numeric.slice(0, worker, kSamples, 2).contiguous(),
                                         pooled.slice(0, worker, kSamples, 2).contiguous(), {true, 3, 4, mine.data()});
    EXPECT_TRUE(at::allclose(half, whole.slice(0, worker, kSamples, 2), 1e-5, 1e-6)) << "worker " << worker;
  }
}

TEST_P(EveryModelTest, WhatWasTrainedOnAShareOfTheNegativesIsCorrected) {
  constexpr double kShare = 0.1;
  const torch::Tensor numeric = Numeric(5), pooled = Pooled(5);
  std::vector<int64_t> index = {0, 1, 2, 3, 4};
  job_.mutable_data()->mutable_train()->mutable_sampling()->set_keep_negatives(kShare);
  const std::shared_ptr<Model> sampled = MakeModel(job_, FeaturesOf(job_)).value();
  const torch::Tensor p = at::sigmoid(model_->Forward(numeric, pooled, {})).to(torch::kDouble);
  const torch::Tensor q = at::sigmoid(sampled->Forward(numeric, pooled, {})).to(torch::kDouble);
  EXPECT_TRUE(at::allclose(q, p / (p + (1 - p) / kShare), 1e-5, 1e-7));
  const ForwardContext training{true, 3, 4, index.data()};
  EXPECT_TRUE(at::equal(sampled->Forward(numeric, pooled, training), model_->Forward(numeric, pooled, training)));
}

TEST_P(EveryModelTest, AnEmptyBatchGivesNoLogitsAndNoGradient) {
  FlatParameters flat(*model_);
  torch::Tensor logits = model_->Forward(Numeric(0), Pooled(0), {true, 3, 4, nullptr});
  EXPECT_EQ(logits.sizes(), at::IntArrayRef({0}));
  logits.sum().backward();
  for (float gradient : flat.gradients()) EXPECT_EQ(gradient, 0.0f);
}

TEST_P(EveryModelTest, DropoutIsForTrainingAlone) {
  const ForwardContext evaluation;
  torch::Tensor numeric = Numeric(20), pooled = Pooled(20);
  torch::Tensor first = model_->Forward(numeric, pooled, evaluation);
  EXPECT_TRUE(at::equal(first, model_->Forward(numeric, pooled, evaluation)));
  std::vector<int64_t> index(20);
  std::iota(index.begin(), index.end(), 0);
  torch::Tensor trained = model_->Forward(numeric, pooled, {true, 3, 4, index.data()});
  const bool has_dropout = std::string(GetParam().model).find("dropout") != std::string::npos;
  EXPECT_EQ(at::allclose(first, trained, 1e-5, 1e-6), !has_dropout);
}

INSTANTIATE_TEST_SUITE_P(Models, EveryModelTest,
                         ::testing::Values(Shape{"logistic_regression {}", 3, 2, 1},
                                           Shape{"logistic_regression {}", 3, 0, 1},
                                           Shape{"logistic_regression {}", 0, 2, 1},
                                           Shape{"deepfm { hidden: 16 hidden: 8 dropout: 0.4 }", 3, 2, 5},
                                           Shape{"deepfm { hidden: 16 }", 3, 0, 5}, Shape{"deepfm {}", 2, 2, 2},
                                           Shape{"dlrm { bottom: 9 top: 16 top: 8 dropout: 0.4 }", 3, 2, 5},
                                           Shape{"dlrm { top: 16 }", 3, 0, 5}, Shape{"dlrm {}", 1, 2, 3}));

}  // namespace
}  // namespace weir
