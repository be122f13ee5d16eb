#include "trainer/metrics_log.h"

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <limits>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace weir {
namespace {

class MetricsLogTest : public ::testing::Test {
 protected:
  void SetUp() override {
    std::string name = ::testing::TempDir() + "metrics_log_XXXXXX";
    ASSERT_NE(mkdtemp(name.data()), nullptr);
    folder_ = name;
    path_ = name + "/metrics.jsonl";
  }
  void TearDown() override { std::filesystem::remove_all(folder_); }

  std::string Text() { return LocalFileSystem().ReadAll(path_, 1 << 20).value(); }

  void Write(int64_t resumed_step, const std::vector<int64_t>& steps) {
    auto log = MetricsLog::Open(LocalFileSystem(), path_, resumed_step);
    ASSERT_TRUE(log.ok()) << log.status().ToString();
    for (int64_t step : steps) {
      const JsonField auc = {"auc", 0.5};
      Status status = (*log)->Append(step, std::span(&auc, 1));
      ASSERT_TRUE(status.ok()) << status.ToString();
    }
  }

  std::string folder_;
  std::string path_;
};

TEST_F(MetricsLogTest, WritesOneLineAPoint) {
  auto log = MetricsLog::Open(LocalFileSystem(), path_, 0);
  ASSERT_TRUE(log.ok()) << log.status().ToString();
  const std::vector<JsonField> fields = {
      {"epoch", int64_t{1}}, {"logloss", 0.1}, {"auc", JsonOptional(std::nullopt)}, {"table", std::string("a\"b\n")}};
  ASSERT_TRUE((*log)->Append(7, fields).ok());
  const std::string expected =
      "{\"step\": 7, \"epoch\": 1, \"logloss\": 0.1, \"auc\": null, \"table\": \"a\\\"b\\u000a\"}\n";
  EXPECT_EQ(Text(), expected) << "the line is there before the file is closed";
  ASSERT_TRUE((*log)->Append(9, {}).ok());
  ASSERT_TRUE((*log)->Close().ok());
  EXPECT_EQ(Text(), expected + "{\"step\": 9}\n");
}

TEST_F(MetricsLogTest, TextIsUtf8WhateverTheBytesWere) {
  EXPECT_EQ(JsonString("a\xc3\xa9\xe2\x82\xac\xf0\x9f\x99\x82"), "\"a\xc3\xa9\xe2\x82\xac\xf0\x9f\x99\x82\"");
  EXPECT_EQ(JsonString("\xff"), R"("\ufffd")");
  EXPECT_EQ(JsonString("\xe2\x82"), R"("\ufffd\ufffd")");                      // cut short
  EXPECT_EQ(JsonString("\xc0\xaf"), R"("\ufffd\ufffd")");                      // overlong
  EXPECT_EQ(JsonString("\xed\xa0\x80"), R"("\ufffd\ufffd\ufffd")");            // a surrogate
  EXPECT_EQ(JsonString("\xf4\x90\x80\x80"), R"("\ufffd\ufffd\ufffd\ufffd")");  // above U+10FFFF
}

TEST_F(MetricsLogTest, AResumedRunRepeatsNoStep) {
  Write(0, {10, 20, 30, 40});
  Write(20, {30, 31});
  EXPECT_EQ(Text(),
            "{\"step\": 10, \"auc\": 0.5}\n{\"step\": 20, \"auc\": 0.5}\n{\"step\": 30, \"auc\": 0.5}\n"
            "{\"step\": 31, \"auc\": 0.5}\n");
  EXPECT_FALSE(std::filesystem::exists(path_ + ".tmp"));
}

TEST_F(MetricsLogTest, ATornLineIsLeftOut) {
  std::ofstream(path_) << "{\"step\": 1, \"auc\": 0.5}\n{\"step\": 2, \"au\nnonsense\n{\"step\": 3";
  Write(5, {6});
  EXPECT_EQ(Text(), "{\"step\": 1, \"auc\": 0.5}\n{\"step\": 6, \"auc\": 0.5}\n");
}

TEST_F(MetricsLogTest, ANewRunStartsAnEmptyFile) {
  Write(0, {10});
  Write(0, {5});
  EXPECT_EQ(Text(), "{\"step\": 5, \"auc\": 0.5}\n");
}

TEST_F(MetricsLogTest, AnErrorNamesTheFile) {
  auto log = MetricsLog::Open(LocalFileSystem(), folder_ + "/missing/metrics.jsonl", 0);
  EXPECT_EQ(log.status().code(), StatusCode::kNotFound);
  EXPECT_THAT(log.status().message(), ::testing::HasSubstr("missing/metrics.jsonl"));
}

TEST(JsonLine, ValuesReadBackToTheSameBits) {
  const double third = 1.0 / 3;
  const std::vector<JsonField> fields = {{"a", third},
                                         {"b", std::numeric_limits<double>::quiet_NaN()},
                                         {"c", std::numeric_limits<int64_t>::min()},
                                         {"d", true},
                                         {"e", 1e300},
                                         {"f", std::string("\x01\\ü")}};
  const std::string line = JsonLine(fields);
  EXPECT_EQ(line,
            "{\"a\": 0.3333333333333333, \"b\": null, \"c\": -9223372036854775808, \"d\": true, \"e\": 1e+300, "
            "\"f\": \"\\u0001\\\\ü\"}");
  EXPECT_EQ(std::strtod(line.c_str() + 6, nullptr), third);
  EXPECT_EQ(JsonLine({}), "{}");
}

}  // namespace
}  // namespace weir
