#include "proto/table_rules.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "proto/job_text.h"

namespace weir {
namespace {

using ::testing::HasSubstr;

// The error of a job whose one table has `fields` and whose feature has `sparse`.
std::string ErrorOf(const std::string& fields, const std::string& sparse = "") {
  const std::string text = R"(data { train { uri: "a.parquet" } label { column: "y" } }
features { name: "user" sparse { )" +
                           sparse + R"( } }
tables { name: "user" dim: 4 )" +
                           fields +
                           R"( }
model { deepfm {} }
train {}
output: "out"
)";
  const Result<Job> job = ReadJob("job.textproto", text, {}, nullptr);
  return job.ok() ? "no error" : job.status().message();
}

TEST(TableRules, TakesWhatIsSound) {
  for (const char* fields :
       {"", "memory: '2GiB'", "admission { count {} }", "admission { count { window_steps: 4 } } memory: '32MiB'",
        "admission { probability {} not_admitted: SHARED }", "admission { allow_list { path: 'a' } }",
        "eviction { ttl_steps: 10 ttl_s: 3600 min_norm: 0.1 }", "memory: '1GiB' eviction { when_full: LEAST_RECENT }",
        "eviction { when_full: REFUSE }", "memory: '1GiB' disk { path: '/tmp/x' } eviction { every_steps: 5 }",
        "memory: '1GiB' disk { path: '/tmp/x' } admission { count {} }"}) {
    EXPECT_EQ(ErrorOf(fields), "no error") << fields;
  }
}

TEST(TableRules, MemoryIsANumberWithAUnit) {
  EXPECT_THAT(ErrorOf("memory: '2GB'"),
              HasSubstr("job.textproto:3:30: tables[0].memory is \"2GB\", expected a number with B, KiB, MiB, GiB or "
                        "TiB, like 2GiB"));
}

TEST(TableRules, FilterMemory) {
  EXPECT_THAT(ErrorOf("admission { count { filter_memory: '1' } }"),
              HasSubstr("tables[0].admission.count.filter_memory is \"1\", expected a number with B"));
  EXPECT_THAT(
      ErrorOf("admission { count { filter_memory: '63KiB' } }"),
      HasSubstr("tables[0].admission.count.filter_memory is 63KiB, expected at least 64KiB: 64 bytes for each of "
                "1024 virtual shards"));
  EXPECT_THAT(ErrorOf("memory: '16MiB' admission { count {} }"),
              HasSubstr("tables[0].admission.count.filter_memory is 16MiB, expected less than the table's memory, "
                        "16MiB, of which it is a part"));
}

TEST(TableRules, Admission) {
  EXPECT_THAT(ErrorOf("admission { not_admitted: ZEROS }"),
              HasSubstr("tables[0].admission names no rule: expected one of count {}, probability {} or "
                        "allow_list {}"));
  EXPECT_THAT(ErrorOf("admission { count { window_steps: 3 } }"),
              HasSubstr("tables[0].admission.count.window_steps is 3 steps, expected 0 or at least 4: a quarter of it "
                        "is forgotten at a time"));
  EXPECT_THAT(ErrorOf("admission { count { threshold: 256 } }"),
              HasSubstr("tables[0].admission.count.threshold is 256 pushes, expected at most 255"));
  EXPECT_THAT(ErrorOf("admission { probability { probability: 1.5 } }"), HasSubstr("expected at most 1"));
  EXPECT_THAT(ErrorOf("admission { allow_list {} }"), HasSubstr("tables[0].admission.allow_list.path is required"));
}

TEST(TableRules, TypeOfAnAllowList) {
  EXPECT_THAT(ErrorOf("admission { allow_list { path: 'a' type: FLOATING } }"),
              HasSubstr("tables[0].admission.allow_list.type is FLOATING, expected STRING or INTEGER"));
  EXPECT_THAT(ErrorOf("admission { allow_list { path: 'a' type: AUTO } }"),
              HasSubstr("type is AUTO, expected STRING or INTEGER"));
  EXPECT_THAT(
      ErrorOf("admission { allow_list { path: 'a' } }", "identity: true"),
      HasSubstr("tables[0].admission.allow_list.type is STRING, but the values of feature \"user\", which looks "
                "the table up, are integers"));
  EXPECT_THAT(ErrorOf("admission { allow_list { path: 'a' } }", "type: INTEGER"), HasSubstr("are integers"));
  EXPECT_THAT(ErrorOf("admission { allow_list { path: 'a' type: INTEGER } }", "type: STRING"),
              HasSubstr("type is INTEGER, but the values of feature \"user\", which looks the table up, are strings"));
  EXPECT_EQ(ErrorOf("admission { allow_list { path: 'a' type: INTEGER } }", "identity: true"), "no error");
}

TEST(TableRules, EvictionAtFullNeedsMemory) {
  for (const char* policy : {"LEAST_RECENT", "LEAST_FREQUENT", "SMALL_NORM"}) {
    EXPECT_THAT(ErrorOf("eviction { when_full: " + std::string(policy) + " }"),
                HasSubstr("tables[0].eviction.when_full is " + std::string(policy) +
                          ", but nothing says what full is: expected the table's memory"));
  }
}

TEST(TableRules, DiskKeepsEveryRow) {
  EXPECT_THAT(ErrorOf("disk { path: '/tmp/x' }"),
              HasSubstr("tables[0].disk takes the rows that memory cannot hold: expected the table's memory"));
  const std::string disk = "memory: '1GiB' disk { path: '/tmp/x' } ";
  for (const char* field : {"when_full: REFUSE", "when_full: SMALL_NORM", "ttl_steps: 5", "ttl_s: 5", "min_norm: 1"}) {
    const std::string name = std::string(field).substr(0, std::string(field).find(':'));
    EXPECT_THAT(ErrorOf(disk + "eviction { " + field + " }"),
                HasSubstr("tables[0].eviction." + name + " does not go with disk, which keeps every row"));
  }
}

}  // namespace
}  // namespace weir
