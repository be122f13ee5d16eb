#include <gtest/gtest.h>

#include "batch/batch.h"
#include "batch/feature.h"

namespace weir {
namespace {

TEST(Jagged, SamplesOwnTheirValues) {
  Jagged feature;
  feature.weights = {0.5f, 1, 2};
  feature.values.push_back(7);
  feature.values.push_back(8);
  feature.EndSample();
  feature.EndSample();
  feature.values.push_back(~uint64_t{0});
  feature.EndSample();
  ASSERT_EQ(feature.num_samples(), 3);
  EXPECT_EQ(feature.sample(0).size(), 2u);
  EXPECT_EQ(feature.sample(0)[1], 8u);
  EXPECT_TRUE(feature.sample(1).empty());
  EXPECT_EQ(feature.sample(2)[0], ~uint64_t{0});
  feature.Clear();
  EXPECT_EQ(feature.num_samples(), 0);
  EXPECT_TRUE(feature.weights.empty());
  EXPECT_EQ(feature.offsets, std::vector<int32_t>{0});
}

Job TwoTables() {
  Job job;
  for (auto [name, dim] : {std::pair("user", 4), std::pair("item", 8)}) {
    TableConfig* table = job.add_tables();
    table->set_name(name);
    table->set_dim(dim);
  }
  return job;
}

FeatureConfig* AddSparse(Job* job, const char* name, const char* table) {
  FeatureConfig* feature = job->add_features();
  feature->set_name(name);
  feature->mutable_sparse()->set_table(table);
  return feature;
}

TEST(FeatureSet, LaysPooledVectorsSideBySide) {
  Job job = TwoTables();
  AddSparse(&job, "item", "item");
  FeatureConfig* age = job.add_features();
  age->set_name("age");
  age->mutable_numeric();
  AddSparse(&job, "user", "user");
  AddSparse(&job, "friends", "user")->mutable_sparse()->set_pooling(SparseConfig::MEAN);
  Result<FeatureSet> set = FeatureSet::FromJob(job);
  ASSERT_TRUE(set.ok());
  ASSERT_EQ(set->sparse.size(), 3u);
  EXPECT_EQ(set->sparse[0].offset, 0);
  EXPECT_EQ(set->sparse[1].offset, 8);
  EXPECT_EQ(set->sparse[2].offset, 12);
  EXPECT_EQ(set->sparse[2].table, set->sparse[1].table);
  EXPECT_EQ(set->sparse[2].pooling, SparseConfig::MEAN);
  EXPECT_EQ(set->sparse[2].config, 3);
  EXPECT_EQ(set->pooled_dim, 16);
  ASSERT_EQ(set->numeric.size(), 1u);
  EXPECT_EQ(set->numeric[0].config, 1);
  EXPECT_EQ(set->numeric_dim, 1);
}

TEST(FeatureSet, AVectorHasAColumnForEachNumber) {
  Job job = TwoTables();
  for (const int length : {0, 5, 1}) {
    FeatureConfig* feature = job.add_features();
    feature->set_name(std::string(1, static_cast<char>('a' + length)));
    feature->mutable_numeric()->set_length(length);
  }
  const Result<FeatureSet> set = FeatureSet::FromJob(job);
  ASSERT_TRUE(set.ok());
  ASSERT_EQ(set->numeric.size(), 3u);
  EXPECT_EQ(set->numeric[1].offset, 1);
  EXPECT_EQ(set->numeric[1].columns, 5);
  EXPECT_EQ(set->numeric[2].offset, 6);
  EXPECT_EQ(set->numeric[2].columns, 1);
  EXPECT_EQ(set->numeric_dim, 7);
}

TEST(FeatureSet, ASequenceHasAVectorForEachPlace) {
  Job job = TwoTables();
  AddSparse(&job, "item", "item");
  SparseConfig* seen = AddSparse(&job, "seen", "item")->mutable_sparse();
  seen->set_pooling(SparseConfig::NONE);
  seen->set_max_length(5);
  AddSparse(&job, "user", "user")->mutable_sparse()->set_pooling(SparseConfig::MAX);
  const Result<FeatureSet> set = FeatureSet::FromJob(job);
  ASSERT_TRUE(set.ok());
  EXPECT_EQ(set->sparse[0].num_vectors(), 1);
  EXPECT_EQ(set->sparse[1].num_vectors(), 5);
  EXPECT_EQ(set->sparse[1].pooled_dim(), 40);
  EXPECT_EQ(set->sparse[1].offset, 8);
  EXPECT_EQ(set->sparse[2].offset, 48);
  EXPECT_EQ(set->sparse[2].max_length, 0);
  EXPECT_EQ(set->pooled_dim, 52);
  EXPECT_EQ(set->num_vectors(), 7);
}

TEST(FeatureSet, RefusesMoreColumnsThanItCanCount) {
  Job job = TwoTables();
  for (int t = 0; t < job.tables_size(); ++t) job.mutable_tables(t)->set_dim(4096);
  for (int f = 0; f < 128; ++f) {
    SparseConfig* seen = AddSparse(&job, "seen", "item")->mutable_sparse();
    seen->set_pooling(SparseConfig::NONE);
    seen->set_max_length(4096);
  }
  const Result<FeatureSet> set = FeatureSet::FromJob(job);
  ASSERT_FALSE(set.ok());
  EXPECT_NE(set.status().message().find("found 2147483648 with this one"), std::string::npos);
}

TEST(FeatureSet, RefusesAnUnknownTable) {
  Job job = TwoTables();
  AddSparse(&job, "city", "cities");
  Result<FeatureSet> set = FeatureSet::FromJob(job);
  ASSERT_FALSE(set.ok());
  EXPECT_EQ(set.status().code(), StatusCode::kInvalidArgument);
  EXPECT_NE(set.status().message().find("feature city"), std::string::npos);
  EXPECT_NE(set.status().message().find("'cities'"), std::string::npos);
}

}  // namespace
}  // namespace weir
