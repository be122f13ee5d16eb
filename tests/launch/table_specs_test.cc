#include "launch/table_specs.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "data_loader/columns/key.h"
#include "proto/job_text.h"
#include "tests/checkpoint/temporary_folder.h"

namespace weir {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

Job MakeJob(const std::string& features, const std::string& table) {
  const Result<Job> job = ReadJob("job", features + R"(
data { label { column: "y" } }
tables { name: "t" dim: 8 )" + table + R"( }
model { dlrm {} }
train {}
output: "o"
)",
                                  {}, nullptr);
  CHECK(job.ok()) << job.status().ToString();
  return *job;
}

constexpr char kList[] = R"(admission { allow_list { path: "list.txt" } })";
constexpr char kIntegers[] = R"(admission { allow_list { path: "list.txt" type: INTEGER } })";

Result<std::vector<uint64_t>> Keys(const Job& job, const std::string& text) {
  return AllowListKeys(job, job.tables(0), "list.txt", text);
}

TEST(AllowListKeys, HashesLinesAsTheFeatureDoes) {
  const Job job = MakeJob(R"(features { name: "t" sparse {} })", kList);
  const KeyRule rule("t", 0, false);
  EXPECT_THAT(*Keys(job, "a\r\nbc\n\n d \nlast"),
              ElementsAre(rule.OfString("a"), rule.OfString("bc"), rule.OfString(" d "), rule.OfString("last")));
  EXPECT_TRUE(Keys(job, "")->empty());
}

TEST(AllowListKeys, TakesEveryIntegerOf64Bits) {
  const Job job = MakeJob(R"(features { name: "t" sparse { identity: true } })", kIntegers);
  EXPECT_THAT(*Keys(job, "0\n-1\n18446744073709551615\n-9223372036854775808\n"),
              ElementsAre(0, ~uint64_t{0}, ~uint64_t{0}, uint64_t{1} << 63));
  EXPECT_THAT(Keys(job, "1\n2\nthree\n").status().message(),
              HasSubstr("list.txt:3: expected an integer of 64 bits, found \"three\""));
  for (const char* wrong : {"18446744073709551616", "-9223372036854775809", "1.5", " 1", "1 ", "+1", "-", "0x1"}) {
    EXPECT_EQ(Keys(job, wrong).status().code(), StatusCode::kInvalidArgument) << wrong;
  }
}

TEST(AllowListKeys, FollowsEveryRuleOfTheTable) {
  const Job job = MakeJob(R"(
features { name: "a" sparse { table: "t" buckets: 10 } }
features { name: "b" sparse { table: "t" hash_space: "other" } }
features { name: "c" sparse { table: "t" hash_space: "other" } })",
                          kIntegers);
  EXPECT_THAT(*Keys(job, "7\n"), ::testing::UnorderedElementsAre(KeyRule("t", 10, false).OfInteger(7),
                                                                 KeyRule("other", 0, false).OfInteger(7)));
}

TEST(ReadTableSpecs, ReadsTheLists) {
  const TemporaryFolder folder;
  const std::string path = JoinPath(folder.path(), "keys.txt");
  const auto job = [&] {
    return MakeJob(R"(features { name: "t" sparse {} })", "admission { allow_list { path: \"" + path + "\" } }");
  };
  const Result<std::vector<TableSpec>> missing = ReadTableSpecs(&LocalFileSystem(), job());
  EXPECT_EQ(missing.status().code(), StatusCode::kNotFound);
  EXPECT_THAT(missing.status().message(), HasSubstr("the allow-list of table t: "));
  EXPECT_THAT(missing.status().message(), HasSubstr(path));

  auto file = LocalFileSystem().Create(path);
  ASSERT_TRUE(file.ok());
  const std::string text = "x\ny\nx\n";
  ASSERT_TRUE((*file)->Append({reinterpret_cast<const uint8_t*>(text.data()), text.size()}).ok());
  ASSERT_TRUE((*file)->Close().ok());
  const Result<std::vector<TableSpec>> specs = ReadTableSpecs(&LocalFileSystem(), job());
  ASSERT_TRUE(specs.ok()) << specs.status().ToString();
  ASSERT_NE((*specs)[0].limits.allow_list, nullptr);
  EXPECT_EQ((*specs)[0].limits.allow_list->size(), 2);
  EXPECT_TRUE((*specs)[0].limits.allow_list->Contains(KeyRule("t", 0, false).OfString("y")));
}

TEST(ReadTableSpecs, RefusesAMemoryWithoutARowAShard) {
  const Job job = MakeJob(R"(features { name: "t" sparse {} })", "memory: '100KiB'");
  const Status status = ReadTableSpecs(&LocalFileSystem(), job).status();
  EXPECT_EQ(status.code(), StatusCode::kInvalidArgument);
  EXPECT_THAT(status.message(), HasSubstr("tables[0].memory is 100KiB, expected at least "));
  EXPECT_THAT(status.message(), HasSubstr("for a row in each of 1024 virtual shards"));
  // What it says is enough.
  const std::string least = status.message().substr(status.message().find("at least ") + 9);
  const Job enough =
      MakeJob(R"(features { name: "t" sparse {} })", "memory: '" + least.substr(0, least.find(' ')) + "'");
  EXPECT_TRUE(ReadTableSpecs(&LocalFileSystem(), enough).ok()) << least;
}

}  // namespace
}  // namespace weir
