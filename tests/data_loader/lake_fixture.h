// Small lakes for the tests: a folder of their own, files of Parquet and text, jobs that read them.
#pragma once

#include <stdlib.h>

#include <filesystem>
#include <fstream>
#include <memory>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "base/status.h"
#include "proto/job.pb.h"

namespace weir {

// Removed with all in it at the end.
class TempFolder {
 public:
  TempFolder() {
    std::string name = ::testing::TempDir() + "weir-lake-XXXXXX";
    path_ = mkdtemp(name.data());
  }
  ~TempFolder() { std::filesystem::remove_all(path_); }
  std::string operator/(const std::string& name) const { return path_ + "/" + name; }
  const std::string& path() const { return path_; }

  std::string Write(const std::string& name, const std::string& text) const {
    std::filesystem::create_directories(std::filesystem::path(*this / name).parent_path());
    std::ofstream(*this / name, std::ios::binary) << text;
    return *this / name;
  }

 private:
  std::string path_;
};

inline FeatureConfig* AddSparse(Job* job, const std::string& name) {
  FeatureConfig* feature = job->add_features();
  feature->set_name(name);
  feature->set_column(name);
  feature->mutable_sparse()->set_table(name);
  feature->mutable_sparse()->set_hash_space(name);
  return feature;
}

inline NumericConfig* AddNumeric(Job* job, const std::string& name) {
  FeatureConfig* feature = job->add_features();
  feature->set_name(name);
  feature->set_column(name);
  return feature->mutable_numeric();
}

inline SourceConfig Source(const std::string& uri) {
  SourceConfig source;
  source.add_uri(uri);
  return source;
}

inline void ExpectError(const Status& status, StatusCode code, const std::vector<std::string>& parts) {
  EXPECT_EQ(StatusCodeName(status.code()), StatusCodeName(code)) << status.ToString();
  for (const std::string& part : parts) EXPECT_NE(status.message().find(part), std::string::npos) << status.message();
}

}  // namespace weir
