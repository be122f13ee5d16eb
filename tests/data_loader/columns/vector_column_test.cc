#include "data_loader/columns/vector_column.h"

#include <cmath>

#include <arrow/api.h>
#include <gtest/gtest.h>

#include "data_loader/extractor.h"
#include "data_loader/formats/lake_file.h"
#include "tests/data_loader/lake_fixture.h"
#include "tests/data_loader/transforms/transform_fixture.h"

namespace weir {
namespace {

struct Extracted {
  Status made;
  std::vector<float> numeric;
  std::vector<BadRow> bad;
  Batch batch;
};

// A number "x", the vector "c" and a number "y", so that the vector lies between others; in two parts.
Extracted Extract(const std::string& config, const Input& column) {
  Job job;
  AddNumeric(&job, "x");
  NumericConfig* vector = AddNumeric(&job, "c");
  EXPECT_TRUE(google::protobuf::TextFormat::ParseFromString(config, vector)) << config;
  AddNumeric(&job, "y");
  const int64_t n = column.array->length();
  auto schema = arrow::schema({arrow::field("x", arrow::float64()), arrow::field("c", column.array->type()),
                               arrow::field("y", arrow::float64())});
  if (column.type == "text") schema = AsText(schema);
  Extracted out;
  const auto extractor = FeatureExtractor::Make(job, *schema, /*with_label=*/false);
  out.made = extractor.status();
  if (!extractor.ok()) return out;
  const auto number = arrow::MakeArrayFromScalar(arrow::DoubleScalar(7), n).ValueOrDie();
  const auto rows = arrow::RecordBatch::Make(schema, n, {number, column.array, number});
  EXPECT_TRUE((*extractor)->Extract(*rows->Slice(0, n / 2), &out.batch, &out.bad).ok());
  EXPECT_TRUE((*extractor)->Extract(*rows->Slice(n / 2), &out.batch, &out.bad).ok());
  out.numeric = out.batch.numeric;
  return out;
}

TEST(VectorColumn, LiesBetweenOtherNumbers) {
  const std::vector<float> expected = {7, 1, 2, 7, 7, 3, 0, 7, 7, 5, 5, 7};
  for (const char* type : {"list<int8>", "list<double>", "large_list<float>", "list<uint16>"}) {
    const Extracted out = Extract("length: 2 default_value: 5", Column(type, "[[1, 2], [3, 0], null]"));
    ASSERT_TRUE(out.made.ok()) << out.made.ToString();
    EXPECT_TRUE(out.bad.empty());
    EXPECT_EQ(out.numeric, expected) << type;
  }
  EXPECT_EQ(Extract("length: 2 default_value: 5 split: \" \"", Column("string", R"(["1 2", "3 0", null])")).numeric,
            expected);
}

TEST(VectorColumn, OtherLengthsAndMissingNumbersAreBadRows) {
  const Extracted out =
      Extract("length: 2", Column("list<double>", "[[1, 2], [1], [], [1, null], [1, 2, 3], [1e300, 4]]"));
  ASSERT_EQ(out.bad.size(), 5u);
  for (size_t i = 0; i < 5; ++i) EXPECT_EQ(out.bad[i].row, static_cast<int64_t>(i) + 1);
  EXPECT_EQ(out.bad[0].column, "c");
  EXPECT_EQ(out.bad[0].reason, "has 1 numbers, expected 2");
  EXPECT_EQ(out.bad[2].reason, "has a missing number");
  EXPECT_EQ(out.bad[3].reason, "has 3 numbers, expected 2");
  EXPECT_EQ(out.bad[4].reason, "has one that is too large for a float");
  EXPECT_EQ(out.numeric, (std::vector<float>{7, 1, 2, 7, 7, 0, 0, 7, 7, 0, 0, 7, 7, 0, 0, 7, 7, 0, 0, 7, 7, 0, 0, 7}));
  Batch batch = out.batch;
  RemoveRows(out.bad, &batch);
  EXPECT_EQ(batch.numeric, (std::vector<float>{7, 1, 2, 7}));
  const Extracted text = Extract("length: 2 split: \",\"", Column("text", R"(["1,2", "1,x", "1,,2", "nan,1"])"));
  ASSERT_EQ(text.bad.size(), 3u);
  EXPECT_EQ(text.bad[0].reason, "has one that is no number");
  EXPECT_EQ(text.bad[1].reason, "has 3 numbers, expected 2");
  EXPECT_EQ(text.bad[2].reason, "has one that is NaN");
}

TEST(VectorColumn, OtherTypesAreRefused) {
  ExpectError(Extract("length: 2", Column("double", "[]")).made, StatusCode::kInvalidArgument,
              {"feature c: column c: a vector expects lists of numbers, or strings and split, found double"});
  ExpectError(Extract("length: 2 split: \",\"", Column("list<double>", "[]")).made, StatusCode::kInvalidArgument,
              {"a vector expects strings to be split"});
  ExpectError(Extract("length: 2", Column("list<string>", "[]")).made, StatusCode::kInvalidArgument, {"feature c"});
  ExpectError(Extract("length: 0", Column("list<double>", "[]")).made, StatusCode::kInvalidArgument, {"feature c"});
}

}  // namespace
}  // namespace weir
