#include "data_loader/columns/sequence_group.h"

#include <random>

#include <arrow/api.h>
#include <gtest/gtest.h>

#include "data_loader/extractor.h"
#include "tests/data_loader/lake_fixture.h"
#include "tests/data_loader/transforms/transform_fixture.h"

namespace weir {
namespace {

TEST(CutSamples, KeepsFirstOrLast) {
  std::mt19937 random(7);
  for (const bool last : {false, true}) {
    Jagged jagged;
    std::vector<std::vector<uint64_t>> expected;
    for (int sample = 0; sample < 200; ++sample) {
      const size_t size = random() % 6;
      std::vector<uint64_t> values;
      for (size_t v = 0; v < size; ++v) values.push_back(random());
      jagged.values.insert(jagged.values.end(), values.begin(), values.end());
      for (const uint64_t value : values) jagged.weights.push_back(static_cast<float>(value % 1000));
      jagged.EndSample();
      // Those before the first that is cut stay as they are.
      if (sample >= 50 && values.size() > 3) {
        last ? values.erase(values.begin(), values.end() - 3) : values.erase(values.begin() + 3, values.end());
      }
      expected.push_back(values);
    }
    CutSamples({3, last}, 50, &jagged);
    ASSERT_EQ(jagged.num_samples(), 200);
    ASSERT_EQ(jagged.weights.size(), jagged.values.size());
    for (int sample = 0; sample < 200; ++sample) {
      const auto values = jagged.sample(sample);
      EXPECT_EQ(std::vector<uint64_t>(values.begin(), values.end()), expected[sample]);
    }
    for (size_t v = 0; v < jagged.values.size(); ++v) {
      EXPECT_EQ(jagged.weights[v], static_cast<float>(jagged.values[v] % 1000));
    }
  }
}

TEST(SequenceCut, LeavesTheFirstOfASequenceToTheNet) {
  SparseConfig config;
  config.set_max_values(4);
  EXPECT_EQ(SequenceCut::Of(config).max, 4);
  config.clear_max_values();
  EXPECT_EQ(SequenceCut::Of(config).max, 0);
  config.set_pooling(SparseConfig::NONE);
  config.set_max_length(5);
  EXPECT_EQ(SequenceCut::Of(config).max, 0);
  config.set_keep(SparseConfig::LAST);
  EXPECT_EQ(SequenceCut::Of(config).max, 5);
}

struct Extracted {
  Status made;
  Batch batch;
  std::vector<BadRow> bad;
};

// Two features of one group, "a" with that default, both with identity and keeping the last two.
Extracted Extract(const Input& a, const Input& b, const std::string& rest = "") {
  Job job;
  for (const char* name : {"a", "b"}) {
    SparseConfig* sparse = AddSparse(&job, name)->mutable_sparse();
    EXPECT_TRUE(google::protobuf::TextFormat::MergeFromString(
        "identity: true type: INTEGER max_values: 2 keep: LAST group: \"g\"", sparse));
  }
  EXPECT_TRUE(google::protobuf::TextFormat::MergeFromString(rest, job.mutable_features(0)->mutable_sparse()));
  const auto schema = arrow::schema({arrow::field("a", a.array->type()), arrow::field("b", b.array->type())});
  Extracted out;
  const auto extractor = FeatureExtractor::Make(job, *schema, /*with_label=*/false);
  out.made = extractor.status();
  if (!extractor.ok()) return out;
  const auto rows = arrow::RecordBatch::Make(schema, a.array->length(), {a.array, b.array});
  const int64_t half = rows->num_rows() / 2;
  EXPECT_TRUE((*extractor)->Extract(*rows->Slice(0, half), &out.batch, &out.bad).ok());
  EXPECT_TRUE((*extractor)->Extract(*rows->Slice(half), &out.batch, &out.bad).ok());
  return out;
}

TEST(SequenceGroup, StaysAligned) {
  const Extracted out = Extract(Column("list<int64>", "[[1, 2, 3], [], null, [4]]"),
                                Column("list<int32>", "[[10, 20, 30], null, [], [40]]"), "default_value: \"-1\"");
  ASSERT_TRUE(out.made.ok()) << out.made.ToString();
  EXPECT_TRUE(out.bad.empty());
  EXPECT_EQ(out.batch.sparse[0].values, (std::vector<uint64_t>{2, 3, 4}));
  EXPECT_EQ(out.batch.sparse[1].values, (std::vector<uint64_t>{20, 30, 40}));
  EXPECT_EQ(out.batch.sparse[0].offsets, (std::vector<int32_t>{0, 2, 2, 2, 3}));
  EXPECT_EQ(out.batch.sparse[1].offsets, out.batch.sparse[0].offsets);
}

TEST(SequenceGroup, OtherLengthsAreBadRows) {
  const Extracted out = Extract(Column("list<int64>", "[[1, 2, 3], [5], [6, 7], [8]]"),
                                Column("list<int64>", "[[1, 2], [5], [6, 7, 8], [9]]"));
  ASSERT_EQ(out.bad.size(), 2u);
  EXPECT_EQ(out.bad[0].row, 0);
  EXPECT_EQ(out.bad[0].column, "b");
  EXPECT_EQ(out.bad[0].reason, "has 2 values where a, of the same sequence, has 3");
  EXPECT_EQ(out.bad[1].row, 2);
  EXPECT_EQ(out.batch.sparse[0].values, (std::vector<uint64_t>{5, 8}));
  EXPECT_EQ(out.batch.sparse[1].values, (std::vector<uint64_t>{5, 9}));
  EXPECT_EQ(out.batch.sparse[1].offsets, (std::vector<int32_t>{0, 0, 1, 1, 2}));
}

TEST(SequenceGroup, WhatIsMissingInsideHasTheDefault) {
  const Input a = Column("list<int64>", "[[1, null, 3], [4]]"), b = Column("list<int64>", "[[10, 20, 30], [40]]");
  const Extracted with_default = Extract(a, b, "default_value: \"9\"");
  EXPECT_TRUE(with_default.bad.empty());
  EXPECT_EQ(with_default.batch.sparse[0].values, (std::vector<uint64_t>{9, 3, 4}));
  const Extracted without = Extract(a, b);
  ASSERT_EQ(without.bad.size(), 1u);
  EXPECT_EQ(without.bad[0].row, 0);
  EXPECT_EQ(without.bad[0].column, "a");
  EXPECT_EQ(without.bad[0].reason, "has a missing value inside its sequence");
  EXPECT_EQ(without.batch.sparse[0].values, (std::vector<uint64_t>{4}));
}

TEST(SequenceGroup, IsOfLists) {
  ExpectError(Extract(Column("int64", "[1]"), Column("list<int64>", "[[1]]")).made, StatusCode::kInvalidArgument,
              {"feature a: column a: group g: expected lists, or strings and split, found int64"});
}

}  // namespace
}  // namespace weir
