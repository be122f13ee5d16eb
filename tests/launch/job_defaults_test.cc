#include "launch/job_defaults.h"

#include <gtest/gtest.h>

namespace weir {
namespace {

TEST(WithDefaults, WritesDefaultsOutAndLeavesTheRest) {
  Job job;
  job.mutable_train()->set_epochs(7);
  job.add_features()->mutable_numeric();
  job.add_features()->mutable_sparse();
  const Job full = WithDefaults(job);
  EXPECT_EQ(full.train().epochs(), 7);
  EXPECT_TRUE(full.train().has_batch_size());
  EXPECT_EQ(full.train().batch_size(), 2048);
  EXPECT_TRUE(full.cluster().has_silence_s());
  EXPECT_TRUE(full.metrics().has_best());
  EXPECT_TRUE(full.features(0).numeric().has_log());
  // What has no default stays unset: "no clipping" is not "clipped at 0".
  EXPECT_FALSE(full.features(0).numeric().has_clip_min());
  EXPECT_FALSE(full.features(1).sparse().has_default_value());
  EXPECT_FALSE(full.features(1).has_numeric());
  EXPECT_FALSE(full.has_model());
}

}  // namespace
}  // namespace weir
