#include "data_loader/extractor.h"

#include <cmath>

#include <arrow/api.h>

#include "data_loader/columns/key.h"
#include "data_loader/formats/lake_file.h"
#include "tests/data_loader/lake_fixture.h"

namespace weir {
namespace {

template <typename Builder, typename Value>
std::shared_ptr<arrow::Array> MakeArray(const std::vector<std::optional<Value>>& values) {
  Builder builder;
  for (const auto& value : values) EXPECT_TRUE((value ? builder.Append(*value) : builder.AppendNull()).ok());
  return builder.Finish().ValueOrDie();
}

std::shared_ptr<arrow::Array> Int64s(const std::vector<std::optional<int64_t>>& values) {
  return MakeArray<arrow::Int64Builder>(values);
}
std::shared_ptr<arrow::Array> Doubles(const std::vector<std::optional<double>>& values) {
  return MakeArray<arrow::DoubleBuilder>(values);
}
std::shared_ptr<arrow::Array> Strings(const std::vector<std::optional<std::string>>& values) {
  return MakeArray<arrow::StringBuilder>(values);
}

struct Extracted {
  Status made;
  Batch batch;
  std::vector<BadRow> bad;
};

// One feature, whose column is `array`, in two parts: rows append.
Extracted Extract(const FeatureConfig& feature, const std::shared_ptr<arrow::Array>& array, bool text = false) {
  Job job;
  *job.add_features() = feature;
  auto schema = arrow::schema({arrow::field(feature.column(), array->type())});
  if (text) schema = AsText(schema);
  Extracted out;
  auto extractor = FeatureExtractor::Make(job, *schema, /*with_label=*/false);
  out.made = extractor.status();
  if (!extractor.ok()) return out;
  auto batch = arrow::RecordBatch::Make(schema, array->length(), {array});
  const int64_t half = array->length() / 2;
  EXPECT_TRUE((*extractor)->Extract(*batch->Slice(0, half), &out.batch, &out.bad).ok());
  EXPECT_TRUE((*extractor)->Extract(*batch->Slice(half), &out.batch, &out.bad).ok());
  EXPECT_EQ(out.batch.num_samples, array->length());
  EXPECT_EQ(out.batch.weights, std::vector<float>(array->length(), 1.0f));
  return out;
}

FeatureConfig Sparse() {
  Job job;
  return *AddSparse(&job, "c");
}

FeatureConfig Numeric() {
  Job job;
  AddNumeric(&job, "c");
  return job.features(0);
}

// The keys of each row.
std::vector<std::vector<uint64_t>> Keys(const Extracted& extracted) {
  EXPECT_TRUE(extracted.made.ok()) << extracted.made.ToString();
  std::vector<std::vector<uint64_t>> rows;
  if (extracted.batch.sparse.empty()) return rows;
  const Jagged& feature = extracted.batch.sparse[0];
  for (int64_t i = 0; i < feature.num_samples(); ++i) {
    auto keys = feature.sample(i);
    rows.emplace_back(keys.begin(), keys.end());
  }
  return rows;
}

using Rows = std::vector<std::vector<uint64_t>>;
const KeyRule kRule("c", 0, false);
uint64_t K(int value) { return kRule.OfInteger(static_cast<uint64_t>(int64_t{value})); }
uint64_t K(const char* value) { return kRule.OfString(value); }

TEST(SparseColumn, IntegersOfAllWidthsAgree) {
  const Rows expected = {{K(5)}, {}, {K(127)}};
  EXPECT_EQ(Keys(Extract(Sparse(), Int64s({5, {}, 127}))), expected);
  EXPECT_EQ(Keys(Extract(Sparse(), MakeArray<arrow::Int8Builder, int8_t>({5, {}, 127}))), expected);
  EXPECT_EQ(Keys(Extract(Sparse(), MakeArray<arrow::UInt8Builder, uint8_t>({5, {}, 127}))), expected);
  EXPECT_EQ(Keys(Extract(Sparse(), MakeArray<arrow::UInt32Builder, uint32_t>({5, {}, 127}))), expected);
  EXPECT_EQ(Keys(Extract(Sparse(), MakeArray<arrow::Int16Builder, int16_t>({-5, -1}))), (Rows{{K(-5)}, {K(-1)}}));
  EXPECT_EQ(Keys(Extract(Sparse(), MakeArray<arrow::UInt64Builder, uint64_t>({~uint64_t{0}}))), (Rows{{K(-1)}}));
}

// Columns without nulls have a path of their own; batches are appended to, and arrays may be parts of others.
TEST(SparseColumn, IntegersWithoutNullsAreAsThoseWith) {
  for (const auto& part : {Int64s({1, 2, 3, -4})->Slice(1, 3),
                           MakeArray<arrow::UInt64Builder, uint64_t>({1, 2, 3, ~uint64_t{0} - 3})->Slice(1, 3)}) {
    const auto made = SparseColumn::Make(Sparse(), *part->type(), false);
    ASSERT_TRUE(made.ok());
    Jagged out;
    std::vector<BadRow> bad;
    ASSERT_TRUE(made->Extract(*Int64s({7, {}}), nullptr, &out, 0, &bad).ok());
    ASSERT_TRUE(made->Extract(*part, nullptr, &out, 2, &bad).ok());
    EXPECT_EQ(out.values, (std::vector<uint64_t>{K(7), K(2), K(3), K(-4)}));
    EXPECT_EQ(out.offsets, (std::vector<int32_t>{0, 1, 1, 2, 3, 4}));
    EXPECT_TRUE(bad.empty());
  }
}

TEST(SparseColumn, StringsAndDictionariesAgree) {
  const Rows expected = {{K("a")}, {}, {K("")}, {K("b")}, {K("a")}};
  auto strings = Strings({"a", {}, "", "b", "a"});
  EXPECT_EQ(Keys(Extract(Sparse(), strings)), expected);
  arrow::StringDictionaryBuilder builder;
  ASSERT_TRUE(builder.AppendArray(*strings).ok());
  EXPECT_EQ(Keys(Extract(Sparse(), builder.Finish().ValueOrDie())), expected);
  EXPECT_EQ(Keys(Extract(Sparse(), MakeArray<arrow::LargeStringBuilder, std::string>({"a", {}, "", "b", "a"}))),
            expected);
  EXPECT_EQ(Keys(Extract(Sparse(), MakeArray<arrow::BinaryBuilder, std::string>({"a", {}, "", "b", "a"}))), expected);
  arrow::Dictionary32Builder<arrow::Int64Type> integers;
  ASSERT_TRUE(integers.AppendArray(*Int64s({7, {}, 8})).ok());
  EXPECT_EQ(Keys(Extract(Sparse(), integers.Finish().ValueOrDie())), (Rows{{K(7)}, {}, {K(8)}}));
}

TEST(SparseColumn, ListsMayAllBeEmpty) {
  for (const auto& values : {std::shared_ptr<arrow::ArrayBuilder>(std::make_shared<arrow::Int64Builder>()),
                             std::shared_ptr<arrow::ArrayBuilder>(std::make_shared<arrow::StringBuilder>())}) {
    arrow::ListBuilder builder(arrow::default_memory_pool(), values);
    ASSERT_TRUE(builder.AppendEmptyValues(3).ok());
    EXPECT_EQ(Keys(Extract(Sparse(), builder.Finish().ValueOrDie())), (Rows{{}, {}, {}}));
    EXPECT_EQ(Keys(Extract(Sparse(), builder.Finish().ValueOrDie())), Rows{});
  }
}

TEST(SparseColumn, MoreValuesThanOffsetsCanTellAreRefused) {
  EXPECT_TRUE(CheckValueCount(INT32_MAX, 10, "c").ok());
  ExpectError(CheckValueCount(uint64_t{1} << 31, 10, "c"), StatusCode::kResourceExhausted,
              {"column c", "2147483648", "data.shuffle_rows"});
}

TEST(SparseColumn, DefaultsStandForMissingValues) {
  FeatureConfig feature = Sparse();
  feature.mutable_sparse()->set_default_value("9");
  EXPECT_EQ(Keys(Extract(feature, Int64s({{}, 1, {}}))), (Rows{{K(9)}, {K(1)}, {K(9)}}));
  EXPECT_EQ(Keys(Extract(feature, Strings({{}, "x"}))), (Rows{{K("9")}, {K("x")}}));
  feature.mutable_sparse()->set_default_value("none");
  ExpectError(Extract(feature, Int64s({1})).made, StatusCode::kInvalidArgument, {"default_value", "'none'", "integer"});
}

TEST(SparseColumn, BucketsAndIdentity) {
  FeatureConfig feature = Sparse();
  feature.mutable_sparse()->set_buckets(100);
  EXPECT_EQ(Keys(Extract(feature, Int64s({5}))), (Rows{{K(5) % 100}}));
  feature.mutable_sparse()->set_identity(true);
  EXPECT_EQ(Keys(Extract(feature, Int64s({5, 105, 0}))), (Rows{{5}, {5}, {0}}));
  feature.mutable_sparse()->set_buckets(0);
  EXPECT_EQ(Keys(Extract(feature, Int64s({-1}))), (Rows{{~uint64_t{0}}}));
  ExpectError(Extract(feature, Strings({"5"})).made, StatusCode::kInvalidArgument,
              {"column c", "identity", "found string"});
}

TEST(SparseColumn, BoundariesMakeBuckets) {
  FeatureConfig feature = Sparse();
  for (double boundary : {0.0, 1.5, 10.0}) feature.mutable_sparse()->add_boundaries(boundary);
  EXPECT_EQ(Keys(Extract(feature, Doubles({-1, 0, 1.4, 1.5, 10, 1e9, {}}))),
            (Rows{{K(0)}, {K(1)}, {K(1)}, {K(2)}, {K(3)}, {K(3)}, {}}));
  EXPECT_EQ(Keys(Extract(feature, Int64s({-1, 2}))), (Rows{{K(0)}, {K(2)}}));
  EXPECT_EQ(Keys(Extract(feature, Strings({"1.5", {}}), /*text=*/true)), (Rows{{K(2)}, {}}));
  Extracted nan = Extract(feature, Doubles({1, std::nan(""), 2}));
  ASSERT_EQ(nan.bad.size(), 1u);
  EXPECT_EQ(nan.bad[0].row, 1);
  EXPECT_EQ(nan.bad[0].reason, "is NaN");
  feature.mutable_sparse()->add_boundaries(3);
  ExpectError(Extract(feature, Doubles({1})).made, StatusCode::kInvalidArgument, {"ascending"});
}

TEST(SparseColumn, SplitsStrings) {
  FeatureConfig feature = Sparse();
  feature.mutable_sparse()->set_split("||");
  feature.mutable_sparse()->set_default_value("none");
  EXPECT_EQ(Keys(Extract(feature, Strings({"a||b", "a", "||a||||b||", "", {}}))),
            (Rows{{K("a"), K("b")}, {K("a")}, {K("a"), K("b")}, {}, {K("none")}}));
  ExpectError(Extract(feature, Int64s({1})).made, StatusCode::kInvalidArgument, {"split", "int64"});
  feature.mutable_sparse()->clear_default_value();
  feature.mutable_sparse()->set_type(SparseConfig::INTEGER);
  Extracted integers = Extract(feature, Strings({"1||2", "3||x", "4"}), /*text=*/true);
  EXPECT_EQ(Keys(integers), (Rows{{K(1), K(2)}, {}, {K(4)}}));
  ASSERT_EQ(integers.bad.size(), 1u);
  EXPECT_EQ(integers.bad[0].row, 1);
}

TEST(SparseColumn, ListsGiveAKeyForEachElement) {
  auto values = std::make_shared<arrow::Int32Builder>();
  arrow::ListBuilder lists(arrow::default_memory_pool(), values);
  ASSERT_TRUE(lists.Append().ok() && values->AppendValues({1, 2}).ok());
  ASSERT_TRUE(lists.AppendNull().ok());
  ASSERT_TRUE(lists.AppendEmptyValue().ok());
  ASSERT_TRUE(lists.Append().ok() && values->Append(3).ok() && values->AppendNull().ok());
  auto array = lists.Finish().ValueOrDie();
  EXPECT_EQ(Keys(Extract(Sparse(), array)), (Rows{{K(1), K(2)}, {}, {}, {K(3)}}));
  FeatureConfig feature = Sparse();
  feature.mutable_sparse()->set_default_value("0");
  EXPECT_EQ(Keys(Extract(feature, array)), (Rows{{K(1), K(2)}, {K(0)}, {}, {K(3)}}));

  auto strings = std::make_shared<arrow::StringBuilder>();
  arrow::LargeListBuilder large(arrow::default_memory_pool(), strings);
  ASSERT_TRUE(large.Append().ok() && strings->Append("a").ok() && strings->Append("b").ok());
  EXPECT_EQ(Keys(Extract(Sparse(), large.Finish().ValueOrDie())), (Rows{{K("a"), K("b")}}));
  auto fixed_values = std::make_shared<arrow::Int64Builder>();
  arrow::FixedSizeListBuilder fixed(arrow::default_memory_pool(), fixed_values, 2);
  for (int64_t i = 0; i < 3; ++i) {
    ASSERT_TRUE(fixed.Append().ok() && fixed_values->Append(i).ok() && fixed_values->Append(-i).ok());
  }
  EXPECT_EQ(Keys(Extract(Sparse(), fixed.Finish().ValueOrDie())), (Rows{{K(0), K(0)}, {K(1), K(-1)}, {K(2), K(-2)}}));
}

TEST(SparseColumn, FloatsAndBooleansAreRefused) {
  ExpectError(Extract(Sparse(), Doubles({1})).made, StatusCode::kInvalidArgument,
              {"feature c", "column c", "int8..int64", "found double"});
  ExpectError(Extract(Sparse(), MakeArray<arrow::BooleanBuilder, bool>({true})).made, StatusCode::kInvalidArgument,
              {"found bool"});
  FeatureConfig feature = Sparse();
  feature.mutable_sparse()->set_type(SparseConfig::STRING);
  ExpectError(Extract(feature, Int64s({1})).made, StatusCode::kInvalidArgument, {"type is STRING", "found int64"});
}

TEST(SparseColumn, TextIsHashedAsItsTypeSays) {
  EXPECT_EQ(Keys(Extract(Sparse(), Strings({"5", {}}), true)), (Rows{{K("5")}, {}}));
  FeatureConfig feature = Sparse();
  feature.mutable_sparse()->set_type(SparseConfig::INTEGER);
  Extracted integers =
      Extract(feature, Strings({"5", "-1", "18446744073709551615", "5.0", "99999999999999999999"}), true);
  EXPECT_EQ(Keys(integers), (Rows{{K(5)}, {K(-1)}, {K(-1)}, {}, {}}));
  ASSERT_EQ(integers.bad.size(), 2u);
  EXPECT_EQ(integers.bad[0].reason, "is no integer");
  EXPECT_EQ(integers.bad[0].value, "5.0");
}

TEST(NumericColumn, TransformsApplyInOrder) {
  FeatureConfig feature = Numeric();
  NumericConfig* numeric = feature.mutable_numeric();
  numeric->set_default_value(7);
  EXPECT_EQ(Extract(feature, Doubles({1, {}, -2})).batch.numeric, (std::vector<float>{1, 7, -2}));
  numeric->set_clip_min(-1);
  numeric->set_clip_max(5);
  EXPECT_EQ(Extract(feature, Doubles({1, {}, -2})).batch.numeric, (std::vector<float>{1, 5, -1}));
  numeric->set_log(true);
  numeric->mutable_standard()->set_mean(0.5);
  numeric->mutable_standard()->set_stddev(2);
  auto oracle = [](double x) { return static_cast<float>((std::copysign(std::log1p(std::fabs(x)), x) - 0.5) / 2); };
  EXPECT_EQ(Extract(feature, Doubles({1, {}, -2, 0, 1e-9})).batch.numeric,
            (std::vector<float>{oracle(1), oracle(5), oracle(-1), oracle(0), oracle(1e-9)}));
}

TEST(NumericColumn, LogIsExactToAFloat) {
  for (double x = 1e-12; x < 1e12; x *= 1.37) {
    EXPECT_NEAR(LogTransform()(x), std::log1p(x), 1e-11 * std::log1p(x)) << x;
    EXPECT_EQ(LogTransform()(-x), -LogTransform()(x));
  }
}

TEST(NumericColumn, ReadsAllNumbersAndText) {
  EXPECT_EQ(Extract(Numeric(), Int64s({1, {}, -3})).batch.numeric, (std::vector<float>{1, 0, -3}));
  EXPECT_EQ(Extract(Numeric(), MakeArray<arrow::BooleanBuilder, bool>({true, false, {}})).batch.numeric,
            (std::vector<float>{1, 0, 0}));
  EXPECT_EQ(Extract(Numeric(), MakeArray<arrow::FloatBuilder, float>({0.1f})).batch.numeric,
            (std::vector<float>{0.1f}));
  Extracted text = Extract(Numeric(), Strings({"1.5", "+2e1", {}, "1,5", "nan", "x"}), true);
  EXPECT_EQ(text.batch.numeric, (std::vector<float>{1.5, 20, 0, 0, 0, 0}));
  ASSERT_EQ(text.bad.size(), 3u);
  EXPECT_EQ(text.bad[0].row, 3);
  EXPECT_EQ(text.bad[0].reason, "is no number");
  EXPECT_EQ(text.bad[1].reason, "is NaN");
  ExpectError(Extract(Numeric(), Strings({"1"})).made, StatusCode::kInvalidArgument,
              {"numeric feature", "found string"});
}

TEST(NumericColumn, WhatIsNoFiniteFloatIsBad) {
  Extracted extracted = Extract(Numeric(), Doubles({1, std::nan(""), INFINITY, 1e300, -INFINITY, 2}));
  ASSERT_EQ(extracted.bad.size(), 4u);
  EXPECT_EQ(extracted.bad[0].reason, "is NaN");
  EXPECT_EQ(extracted.bad[1].reason, "is infinite");
  EXPECT_EQ(extracted.bad[2].reason, "is too large for a float");
  RemoveRows(extracted.bad, &extracted.batch);
  EXPECT_EQ(extracted.batch.num_samples, 2);
  EXPECT_EQ(extracted.batch.numeric, (std::vector<float>{1, 2}));
}

struct Labels {
  Status made;
  std::vector<float> labels;
  std::vector<BadRow> bad;
};

Labels ExtractLabels(const LabelConfig& config, const std::shared_ptr<arrow::Array>& array, bool text = false) {
  Labels out;
  auto column = LabelColumn::Make(config, *array->type(), text);
  out.made = column.status();
  if (!column.ok()) return out;
  out.labels.resize(array->length());
  EXPECT_TRUE(column->Extract(*array, out.labels.data(), 0, &out.bad).ok());
  return out;
}

TEST(LabelColumn, NumbersLieBetweenZeroAndOne) {
  LabelConfig config;
  config.set_column("y");
  EXPECT_EQ(ExtractLabels(config, Doubles({0, 0.25, 1})).labels, (std::vector<float>{0, 0.25, 1}));
  EXPECT_EQ(ExtractLabels(config, MakeArray<arrow::BooleanBuilder, bool>({true, false})).labels,
            (std::vector<float>{1, 0}));
  EXPECT_EQ(ExtractLabels(config, Int64s({-1, 2, {}, 1})).bad.size(), 3u);
  ExpectError(ExtractLabels(config, Strings({"x"})).made, StatusCode::kInvalidArgument, {"data.label.positive"});
}

TEST(LabelColumn, ANumberFromAThresholdOnIsPositive) {
  LabelConfig config;
  config.set_column("watched_s");
  config.set_at_least(30);
  const Labels labels = ExtractLabels(config, Doubles({29.9, 30, 1e9, -5, {}, NAN}));
  EXPECT_EQ(labels.labels, (std::vector<float>{0, 1, 1, 0, 0, 0}));
  ASSERT_EQ(labels.bad.size(), 2u);
  EXPECT_EQ(labels.bad[0].reason, "is missing");
  EXPECT_EQ(labels.bad[1].reason, "is NaN");
  EXPECT_EQ(ExtractLabels(config, Strings({"31", "3"}), /*text=*/true).labels, (std::vector<float>{1, 0}));
  ExpectError(ExtractLabels(config, Strings({"x"})).made, StatusCode::kInvalidArgument, {"watched_s", "numbers"});
}

TEST(LabelColumn, NamedValues) {
  LabelConfig config;
  config.set_column("y");
  config.add_positive("yes");
  config.add_positive("y");
  EXPECT_EQ(ExtractLabels(config, Strings({"yes", "y", "no", "other"})).labels, (std::vector<float>{1, 1, 0, 0}));
  config.add_negative("no");
  Labels labels = ExtractLabels(config, Strings({"yes", "no", "other", {}}));
  EXPECT_EQ(labels.labels, (std::vector<float>{1, 0, 0, 0}));
  ASSERT_EQ(labels.bad.size(), 2u);
  EXPECT_EQ(labels.bad[0].reason, "is neither a positive nor a negative label");
  EXPECT_EQ(labels.bad[1].reason, "is missing");
  arrow::StringDictionaryBuilder builder;
  ASSERT_TRUE(builder.AppendArray(*Strings({"no", "yes", {}})).ok());
  Labels coded = ExtractLabels(config, builder.Finish().ValueOrDie());
  EXPECT_EQ(coded.labels, (std::vector<float>{0, 1, 0}));
  EXPECT_EQ(coded.bad.size(), 1u);

  LabelConfig numbers;
  numbers.set_column("y");
  numbers.add_positive("2");
  EXPECT_EQ(ExtractLabels(numbers, Int64s({1, 2})).labels, (std::vector<float>{0, 1}));
}

}  // namespace
}  // namespace weir
