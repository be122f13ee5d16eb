// Every job that ships can be read and makes a model.
#include <filesystem>

#include <gtest/gtest.h>

#include "batch/feature.h"
#include "launch/job_file.h"
#include "models/model.h"

namespace weir {
namespace {

TEST(Examples, AllAreJobs) {
  int jobs = 0;
  for (const char* folder : {"examples", "bench"}) {
    for (const auto& entry : std::filesystem::recursive_directory_iterator(JoinPath(WEIR_SOURCE_DIR, folder))) {
      if (entry.path().extension() != ".textproto") continue;
      SCOPED_TRACE(entry.path().string());
      const Result<Job> job = ReadJobFile(&LocalFileSystem(), entry.path().string(), {}, nullptr);
      ASSERT_TRUE(job.ok()) << job.status().ToString();
      const Result<FeatureSet> features = FeatureSet::FromJob(*job);
      ASSERT_TRUE(features.ok()) << features.status().ToString();
      const Result<std::shared_ptr<Model>> model = MakeModel(*job, *features);
      EXPECT_TRUE(model.ok()) << model.status().ToString();
      ++jobs;
    }
  }
  EXPECT_GE(jobs, 8);
}

TEST(Examples, BenchJobsAreThePeersNets) {
  const Result<Job> job =
      ReadJobFile(&LocalFileSystem(), JoinPath(WEIR_SOURCE_DIR, "bench/dlrm_kaggle.textproto"), {}, nullptr);
  ASSERT_TRUE(job.ok()) << job.status().ToString();
  EXPECT_EQ(job->features_size(), 39);
  EXPECT_EQ(job->tables_size(), 26);
  EXPECT_EQ(job->tables(25).name(), "C26");
  EXPECT_EQ(job->train().batch_size(), 2048);
  EXPECT_FALSE(job->data().has_train());
  EXPECT_FALSE(job->data().has_eval());
}

TEST(ReadJobFile, NamesAFileThatIsNotThere) {
  const Result<Job> job = ReadJobFile(&LocalFileSystem(), "/nowhere/job.textproto", {}, nullptr);
  EXPECT_EQ(job.status().code(), StatusCode::kNotFound);
  EXPECT_NE(job.status().message().find("/nowhere/job.textproto"), std::string::npos);
}

}  // namespace
}  // namespace weir
