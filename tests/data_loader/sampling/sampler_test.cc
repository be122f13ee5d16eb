#include "data_loader/sampling/sampler.h"

#include <cmath>
#include <map>
#include <numeric>
#include <set>

#include "data_loader/dataset.h"
#include "data_loader/loader.h"
#include "tests/data_loader/lake_fixture.h"
#include "tests/data_loader/parquet_fixture.h"

namespace weir {
namespace {

constexpr int64_t kRows = 3000;

// Users who had items: user (its number), item (1 to 20, small ones often), category (item / 5), price (item * 10),
// label 0 in two of three rows, seen (a list: the item before).
std::shared_ptr<arrow::Table> Events() {
  std::vector<int64_t> users, items, categories;
  std::vector<float> prices;
  std::vector<int32_t> labels;
  arrow::ListBuilder seen(arrow::default_memory_pool(), std::make_shared<arrow::Int64Builder>());
  auto& seen_items = static_cast<arrow::Int64Builder&>(*seen.value_builder());
  for (int64_t row = 0; row < kRows; ++row) {
    const int64_t item = 1 + static_cast<int64_t>(20 * std::pow((row % 100) / 100.0, 2));
    users.push_back(row % 50);
    items.push_back(item);
    categories.push_back(item / 5);
    prices.push_back(static_cast<float>(10 * item));
    labels.push_back(row % 3 == 0);
    EXPECT_TRUE(seen.Append().ok());
    EXPECT_TRUE(seen_items.Append(item == 20 ? 1 : item + 1).ok());
  }
  return MakeTable({{"user", MakeArray<arrow::Int64Builder>(users)},
                    {"item", MakeArray<arrow::Int64Builder>(items)},
                    {"category", MakeArray<arrow::Int64Builder>(categories)},
                    {"price", MakeArray<arrow::FloatBuilder>(prices)},
                    {"seen", seen.Finish().ValueOrDie()},
                    {"label", MakeArray<arrow::Int32Builder>(labels)}});
}

class SamplerTest : public ::testing::Test {
 protected:
  SamplerTest() {
    WriteParquet(folder_ / "a.parquet", Events(), 500);
    for (const char* name : {"user", "item", "category", "seen"}) AddSparse(&job_, name);
    for (FeatureConfig& feature : *job_.mutable_features()) feature.mutable_sparse()->set_identity(true);
    AddNumeric(&job_, "price");
    job_.mutable_data()->mutable_label()->set_column("label");
    *job_.mutable_data()->mutable_train() = Source(folder_ / "a.parquet");
  }

  NegativesConfig* Negatives() {
    NegativesConfig* negatives = job_.mutable_data()->mutable_train()->mutable_sampling()->mutable_negatives();
    for (const char* name : {"item", "category", "price"}) negatives->add_features(name);
    return negatives;
  }

  Result<std::unique_ptr<Sampler>> Open() {
    WEIR_ASSIGN_OR_RETURN(const auto dataset, Dataset::Open(job_, job_.data().train(), /*with_label=*/true));
    return Sampler::Open(job_, job_.data().train(), dataset->extractor(0), 1);
  }

  // The epoch of one of the workers, from sample `start` on.
  Batch Epoch(int64_t batch_size, int worker = 0, int workers = 1, int64_t start = 0, int64_t epoch = 0) {
    LoaderOptions options;
    options.worker = worker;
    options.num_workers = workers;
    options.batch_size = batch_size;
    options.epochs = epoch + 1;
    options.shuffle_rows = 64;
    auto first = Loader::Open(job_, job_.data().train(), options, LoaderPosition());
    EXPECT_TRUE(first.ok()) << first.status().ToString();
    Batch all;
    if (!first.ok()) return all;
    StepBatch before;
    before.epoch = epoch;
    before.epoch_rows_done = start;
    const LoaderPosition position = (*first)->PositionAfter(before);
    auto loader = Loader::Open(job_, job_.data().train(), options, position);
    EXPECT_TRUE(loader.ok()) << loader.status().ToString();
    StepBatch step;
    int64_t done = start;
    while (true) {
      auto more = (*loader)->Next(&step);
      EXPECT_TRUE(more.ok()) << more.status().ToString();
      if (!more.ok() || !*more) break;
      Append(step.batch, done, &all);
      done += step.step_rows;
    }
    return all;
  }

  // sample_index becomes the place in the epoch.
  void Append(const Batch& batch, int64_t first, Batch* all) {
    const int64_t spread = 1 + MadeOfEach();
    all->sparse.resize(batch.sparse.size());
    for (int64_t i = 0; i < batch.num_samples; ++i) {
      for (size_t f = 0; f < batch.sparse.size(); ++f) all->sparse[f].AppendSample(batch.sparse[f], i);
      all->numeric.push_back(batch.numeric.at(i));
      all->labels.push_back(batch.labels.at(i));
      all->weights.push_back(batch.weights.at(i));
      if (i > 0) {
        EXPECT_LT(batch.sample_index.at(i - 1), batch.sample_index.at(i));
      }
      all->sample_index.push_back(first * spread + batch.sample_index.at(i));
    }
    all->num_samples += batch.num_samples;
  }

  int64_t MadeOfEach() const {
    const NegativesConfig& n = job_.data().train().sampling().negatives();
    return n.uniform() + n.popular() + n.in_batch() + n.hard();
  }

  // By place in the epoch: user, item, category, price, label.
  using Samples = std::map<int64_t, std::vector<double>>;
  static Samples ByPlace(const Batch& batch) {
    Samples samples;
    for (int64_t i = 0; i < batch.num_samples; ++i) {
      std::vector<double>& sample = samples[batch.sample_index[i]];
      EXPECT_TRUE(sample.empty());
      for (int f = 0; f < 3; ++f) sample.push_back(static_cast<double>(batch.sparse[f].sample(i)[0]));
      sample.push_back(batch.numeric[i]);
      sample.push_back(batch.labels[i]);
    }
    return samples;
  }

  TempFolder folder_;
  Job job_;
};

TEST_F(SamplerTest, AShareOfTheNegativesIsKeptWhateverTheBatchesAndTheWorkers) {
  job_.mutable_data()->mutable_train()->mutable_sampling()->set_keep_negatives(0.25);
  const Samples whole = ByPlace(Epoch(100));
  int64_t positives = 0;
  for (const auto& [place, sample] : whole) positives += sample[4] == 1;
  EXPECT_EQ(positives, kRows / 3);
  EXPECT_NEAR(static_cast<double>(whole.size() - positives), 0.25 * 2 * kRows / 3, 60);

  EXPECT_EQ(ByPlace(Epoch(37)), whole);
  Samples of_two = ByPlace(Epoch(100, 0, 2));
  of_two.merge(ByPlace(Epoch(100, 1, 2)));
  EXPECT_EQ(of_two, whole);
  EXPECT_NE(ByPlace(Epoch(100, 0, 1, 0, /*epoch=*/1)), whole) << "another epoch keeps others";

  Samples rest = whole;
  rest.erase(rest.begin(), rest.lower_bound(1000));
  EXPECT_EQ(ByPlace(Epoch(100, 0, 1, 1000)), rest) << "a resume draws the same";
}

TEST_F(SamplerTest, NegativesAreOtherItemsWithAllTheirFeatures) {
  NegativesConfig* negatives = Negatives();
  negatives->set_uniform(2);
  negatives->set_popular(3);
  const Samples samples = ByPlace(Epoch(100));
  EXPECT_EQ(samples.size(), kRows + 5u * kRows / 3);
  std::map<double, int64_t> uniform, popular;
  for (const auto& [place, sample] : samples) {
    const std::vector<double>& own = samples.at(place / 6 * 6);
    EXPECT_EQ(sample[2], std::floor(sample[1] / 5)) << "the category is the item's";
    EXPECT_EQ(sample[3], 10 * sample[1]) << "so is the price, which is no id";
    EXPECT_EQ(sample[0], own[0]) << "the user is the sample's own";
    if (place % 6 == 0) continue;
    EXPECT_EQ(own[4], 1);
    EXPECT_EQ(sample[4], 0);
    EXPECT_NE(sample[1], own[1]);
    ++(place % 6 <= 2 ? uniform : popular)[sample[1]];
  }
  // 20 items; item 1 makes 23 of 100 rows, 20 makes 2. Its own samples cannot have it.
  EXPECT_EQ(uniform.size(), 20u);
  EXPECT_NEAR(static_cast<double>(uniform[1]) / uniform[20], 0.77 / 0.98, 0.25);
  EXPECT_NEAR(static_cast<double>(popular[1]) / popular[20], std::pow(23.0 / 2, 0.75) * 0.77 / 0.98, 1);

  EXPECT_EQ(ByPlace(Epoch(37)), samples);
  Samples of_two = ByPlace(Epoch(100, 0, 2));
  of_two.merge(ByPlace(Epoch(100, 1, 2)));
  EXPECT_EQ(of_two, samples) << "two workers draw what one does";
}

TEST_F(SamplerTest, WhatTheUserHadBeforeIsNoNegative) {
  NegativesConfig* negatives = Negatives();
  negatives->set_uniform(8);
  negatives->add_except("seen");
  const Batch all = Epoch(100);
  for (int64_t i = 0; i < all.num_samples; ++i) {
    if (all.sample_index[i] % 9 == 0) continue;
    EXPECT_NE(all.sparse[1].sample(i)[0], all.sparse[3].sample(i)[0]);
  }
}

TEST_F(SamplerTest, ItemsOfTheBatchAreThoseOfItsPositives) {
  Negatives()->set_in_batch(4);
  constexpr int64_t kStep = 30;
  const Batch all = Epoch(kStep);
  std::map<int64_t, std::set<uint64_t>> positive_items;  // by step
  for (int64_t i = 0; i < all.num_samples; ++i) {
    if (all.labels[i] > 0) positive_items[all.sample_index[i] / 5 / kStep].insert(all.sparse[1].sample(i)[0]);
  }
  int64_t made = 0;
  for (int64_t i = 0; i < all.num_samples; ++i) {
    if (all.sample_index[i] % 5 == 0) continue;
    ++made;
    EXPECT_EQ(positive_items[all.sample_index[i] / 5 / kStep].count(all.sparse[1].sample(i)[0]), 1u);
  }
  EXPECT_GT(made, kRows);
}

TEST_F(SamplerTest, APoolHasItsOwnItemsAndCounts) {
  WriteParquet(folder_ / "pool.parquet",
               MakeTable({{"item", MakeArray<arrow::Int64Builder>(std::vector<int64_t>{101, 102, 103, 101})},
                          {"category", MakeArray<arrow::Int64Builder>(std::vector<int64_t>{7, 8, 9, 5})},
                          {"price", MakeArray<arrow::FloatBuilder>(std::vector<float>{1, 2, 3, 4})},
                          {"count", MakeArray<arrow::Int32Builder>(std::vector<int32_t>{5, 0, 10, 5})}}),
               10);
  NegativesConfig* negatives = Negatives();
  negatives->set_popular(1);
  negatives->set_exponent(1);
  negatives->mutable_pool()->add_uri(folder_ / "pool.parquet");
  negatives->mutable_pool()->set_count_column("count");
  std::map<std::vector<double>, int64_t> drawn;
  for (const auto& [place, sample] : ByPlace(Epoch(100))) {
    if (place % 2 == 1) ++drawn[{sample[1], sample[2], sample[3]}];
  }
  // 101 comes twice: counts 5 + 5, features of its first row.
  EXPECT_EQ(drawn.size(), 2u);
  EXPECT_NEAR(static_cast<double>(drawn[{101, 7, 1}]), kRows / 6.0, 80);
  EXPECT_NEAR(static_cast<double>(drawn[{103, 9, 3}]), kRows / 6.0, 80);

  folder_.Write("text.csv", "item,category,price\n101,7,1\n");
  negatives->mutable_pool()->clear_count_column();
  negatives->mutable_pool()->set_uri(0, folder_ / "text.csv");
  job_.mutable_features(1)->mutable_sparse()->set_identity(false);
  job_.mutable_features(2)->mutable_sparse()->set_identity(false);
  ExpectError(Open().status(), StatusCode::kInvalidArgument, {"text.csv", "item", "found strings", "hashed apart"});
  negatives->mutable_pool()->set_uri(0, folder_ / "pool.parquet");

  negatives->mutable_pool()->set_count_column("price");
  EXPECT_TRUE(Open().ok());
  negatives->mutable_pool()->set_count_column("cuont");
  ExpectError(Open().status(), StatusCode::kInvalidArgument,
              {"sampling.negatives.pool", "pool.parquet", "cuont", "count"});
}

TEST_F(SamplerTest, HardItemsAreThoseOfTheUsersList) {
  arrow::ListBuilder lists(arrow::default_memory_pool(), std::make_shared<arrow::Int64Builder>());
  auto& values = static_cast<arrow::Int64Builder&>(*lists.value_builder());
  ASSERT_TRUE(lists.Append().ok() && values.AppendValues({2, 3, 999}).ok());
  ASSERT_TRUE(lists.Append().ok() && values.AppendValues({4}).ok());
  ASSERT_TRUE(lists.Append().ok() && values.AppendValues({5}).ok());
  WriteParquet(folder_ / "hard.parquet",
               MakeTable({{"user", MakeArray<arrow::Int64Builder>(std::vector<int64_t>{0, 1, 0})},
                          {"items", lists.Finish().ValueOrDie()}}),
               10);
  NegativesConfig* negatives = Negatives();
  negatives->set_hard(6);
  negatives->mutable_hard_items()->add_uri(folder_ / "hard.parquet");
  negatives->mutable_hard_items()->set_by("user");
  negatives->mutable_hard_items()->set_column("items");
  std::map<double, std::set<double>> items;  // by user
  for (const auto& [place, sample] : ByPlace(Epoch(100))) {
    if (place % 7 != 0) items[sample[0]].insert(sample[1]);
  }
  EXPECT_EQ(items[0], (std::set<double>{2, 3, 5})) << "999 is not in the pool";
  EXPECT_EQ(items[1], (std::set<double>{4}));
  EXPECT_GT(items[2].size(), 10u) << "without a list: from the pool";

  negatives->mutable_hard_items()->set_column("itmes");
  ExpectError(Open().status(), StatusCode::kInvalidArgument,
              {"sampling.negatives.hard_items", "hard.parquet", "itmes", "items"});
}

TEST_F(SamplerTest, AnEmptyBatchStaysEmpty) {
  Negatives()->set_uniform(1);
  const auto sampler = Open();
  ASSERT_TRUE(sampler.ok()) << sampler.status().ToString();
  Batch batch = EmptyBatch(job_);
  EXPECT_TRUE((*sampler)->Apply(0, 0, &batch).ok());
  EXPECT_EQ(batch.num_samples, 0);
}

TEST_F(SamplerTest, WithoutALabelColumnEveryRowIsPositive) {
  job_.mutable_data()->mutable_label()->clear_column();
  Negatives()->set_uniform(1);
  const Batch all = Epoch(100);
  EXPECT_EQ(all.num_samples, 2 * kRows);
  EXPECT_EQ(std::accumulate(all.labels.begin(), all.labels.end(), 0.0), kRows);
}

}  // namespace
}  // namespace weir
