#include "data_loader/columns/value_weights.h"

#include <cmath>
#include <limits>
#include <optional>

#include <arrow/api.h>

#include "data_loader/columns/key.h"
#include "data_loader/extractor.h"
#include "data_loader/formats/lake_file.h"
#include "tests/data_loader/lake_fixture.h"

namespace weir {
namespace {

const KeyRule kRule("c", 0, false);
uint64_t K(int value) { return kRule.OfInteger(static_cast<uint64_t>(int64_t{value})); }
uint64_t K(const char* value) { return kRule.OfString(value); }

template <typename Builder, typename Value>
std::shared_ptr<arrow::Array> Flat(const std::vector<std::optional<Value>>& values) {
  Builder builder;
  for (const auto& value : values) EXPECT_TRUE((value ? builder.Append(*value) : builder.AppendNull()).ok());
  return builder.Finish().ValueOrDie();
}

template <typename Value>
using Lists = std::vector<std::optional<std::vector<std::optional<Value>>>>;

template <typename Builder, typename Value, typename ListBuilder = arrow::ListBuilder>
std::shared_ptr<arrow::Array> MakeLists(const Lists<Value>& rows) {
  auto values = std::make_shared<Builder>();
  ListBuilder lists(arrow::default_memory_pool(), values);
  for (const auto& row : rows) {
    EXPECT_TRUE((row ? lists.Append() : lists.AppendNull()).ok());
    if (!row) continue;
    for (const auto& value : *row) EXPECT_TRUE((value ? values->Append(*value) : values->AppendNull()).ok());
  }
  return lists.Finish().ValueOrDie();
}

FeatureConfig Weighted() {
  Job job;
  SparseConfig* sparse = AddSparse(&job, "c")->mutable_sparse();
  sparse->set_pooling(SparseConfig::WEIGHTED_SUM);
  sparse->set_weight_column("w");
  return job.features(0);
}

// Keys with their weights, by row.
using Rows = std::vector<std::vector<std::pair<uint64_t, float>>>;

struct Extracted {
  Status made;
  Rows rows;
  std::vector<BadRow> bad;
};

// In two parts, so that both columns are slices and rows append.
Extracted Extract(const FeatureConfig& feature, const std::shared_ptr<arrow::Array>& values,
                  const std::shared_ptr<arrow::Array>& weights, bool text = false) {
  Job job;
  *job.add_features() = feature;
  auto schema = arrow::schema({arrow::field("c", values->type()), arrow::field("w", weights->type())});
  if (text) schema = AsText(schema);
  Extracted out;
  auto extractor = FeatureExtractor::Make(job, *schema, /*with_label=*/false);
  out.made = extractor.status();
  if (!extractor.ok()) return out;
  EXPECT_EQ((*extractor)->columns(), (std::vector<std::string>{"c", "w"}));
  const auto rows = arrow::RecordBatch::Make(schema, values->length(), {values, weights});
  const int64_t half = values->length() / 2;
  Batch batch;
  EXPECT_TRUE((*extractor)->Extract(*rows->Slice(0, half), &batch, &out.bad).ok());
  EXPECT_TRUE((*extractor)->Extract(*rows->Slice(half), &batch, &out.bad).ok());
  const Jagged& jagged = batch.sparse[0];
  EXPECT_EQ(jagged.weights.size(), jagged.values.size());
  for (int64_t i = 0; i < jagged.num_samples(); ++i) {
    auto& row = out.rows.emplace_back();
    for (int32_t at = jagged.offsets[i]; at < jagged.offsets[i + 1]; ++at) {
      row.emplace_back(jagged.values[at], jagged.weights[at]);
    }
  }
  RemoveRows(out.bad, &batch);
  EXPECT_EQ(batch.sparse[0].num_samples(), values->length() - static_cast<int64_t>(out.bad.size()));
  EXPECT_EQ(batch.sparse[0].weights.size(), batch.sparse[0].values.size());
  return out;
}

std::vector<std::pair<int64_t, std::string>> Faults(const Extracted& extracted) {
  std::vector<std::pair<int64_t, std::string>> faults;
  for (const BadRow& row : extracted.bad) faults.emplace_back(row.row, row.column + " " + row.reason);
  return faults;
}

TEST(ValueWeights, GoAlongWithLists) {
  const auto values = MakeLists<arrow::Int64Builder, int64_t>({{{1, 2}}, {{}}, {{3}}, std::nullopt, {{4, {}, 5}}});
  const Rows expected = {{{K(1), 0.5f}, {K(2), -2}}, {}, {{K(3), 0}}, {}, {{K(4), 7}, {K(5), 9}}};
  const Lists<double> weights = {{{0.5, -2}}, {{}}, {{0}}, std::nullopt, {{7, 8, 9}}};
  const Extracted doubles = Extract(Weighted(), values, MakeLists<arrow::DoubleBuilder>(weights));
  EXPECT_EQ(doubles.rows, expected);
  EXPECT_TRUE(doubles.bad.empty());
  const Lists<float> floats = {{{0.5f, -2}}, {{}}, {{0}}, {{}}, {{7, {}, 9}}};  // no weight where there is no value
  const auto large = MakeLists<arrow::FloatBuilder, float, arrow::LargeListBuilder>(floats);
  EXPECT_EQ(Extract(Weighted(), values, large).rows, expected);
  const Lists<int32_t> integers = {{{3, 4}}, {{}}, {{5}}, std::nullopt, {{7, 8, 9}}};
  EXPECT_EQ(Extract(Weighted(), values, MakeLists<arrow::Int32Builder>(integers)).rows,
            (Rows{{{K(1), 3}, {K(2), 4}}, {}, {{K(3), 5}}, {}, {{K(4), 7}, {K(5), 9}}}));
}

TEST(ValueWeights, GoAlongWithSingleValues) {
  const auto values = Flat<arrow::Int64Builder, int64_t>({1, {}, 3});
  EXPECT_EQ(Extract(Weighted(), values, Flat<arrow::FloatBuilder, float>({0.5f, {}, 2})).rows,
            (Rows{{{K(1), 0.5f}}, {}, {{K(3), 2}}}));
  EXPECT_EQ(Extract(Weighted(), values, Flat<arrow::Int16Builder, int16_t>({5, 6, 7})).rows,
            (Rows{{{K(1), 5}}, {}, {{K(3), 7}}}));
  EXPECT_EQ(Extract(Weighted(), Flat<arrow::StringBuilder, std::string>({"a", {}, "b"}),
                    Flat<arrow::StringBuilder, std::string>({"1.5", {}, "-2e1"}), /*text=*/true)
                .rows,
            (Rows{{{K("a"), 1.5f}}, {}, {{K("b"), -20}}}));
}

TEST(ValueWeights, GoAlongWithSplitStrings) {
  FeatureConfig feature = Weighted();
  feature.mutable_sparse()->set_split("|");
  const auto values = Flat<arrow::StringBuilder, std::string>({"a|b|", "", {}, "|c", "d||e"});
  const auto weights = Flat<arrow::StringBuilder, std::string>({"1|2", {}, "", "|3", "4|5|6|"});
  for (const bool text : {false, true}) {
    const Extracted found = Extract(feature, values, weights, text);
    EXPECT_EQ(found.rows, (Rows{{{K("a"), 1}, {K("b"), 2}}, {}, {}, {{K("c"), 3}}, {{K("d"), 4}, {K("e"), 6}}}));
    EXPECT_TRUE(found.bad.empty());
  }
}

TEST(ValueWeights, OfDefaults) {
  FeatureConfig feature = Weighted();
  feature.mutable_sparse()->set_default_value("9");
  EXPECT_EQ(
      Extract(feature, Flat<arrow::Int64Builder, int64_t>({{}, {}, 3}), Flat<arrow::FloatBuilder, float>({0.5f, {}, 2}))
          .rows,
      (Rows{{{K(9), 0.5f}}, {{K(9), 1}}, {{K(3), 2}}}));
  const Lists<float> weights = {std::nullopt, {{}}, {{}}};
  EXPECT_EQ(Extract(feature, MakeLists<arrow::Int64Builder, int64_t>({std::nullopt, std::nullopt, {{}}}),
                    MakeLists<arrow::FloatBuilder>(weights))
                .rows,
            (Rows{{{K(9), 1}}, {{K(9), 1}}, {}}));
}

TEST(ValueWeights, FaultsNameColumnAndReason) {
  const Lists<double> weights = {{{1}},           {{1, 2, 3}}, {{1, {}}}, {{std::nan(""), 1}},
                                 {{1e300, 1e-9}}, {{}},        {{1}},     {{1, 2}}};
  const Extracted lists =
      Extract(Weighted(),
              MakeLists<arrow::Int64Builder, int64_t>(
                  {{{1, 2}}, {{1, 2}}, {{1, 2}}, {{1, 2}}, {{1, 2}}, {{1, 2}}, std::nullopt, {{1, 2}}}),
              MakeLists<arrow::DoubleBuilder>(weights));
  const std::string count = "w has another number of weights than there are values";
  EXPECT_EQ(Faults(lists), (std::vector<std::pair<int64_t, std::string>>{{0, count},
                                                                         {1, count},
                                                                         {2, "w is missing"},
                                                                         {3, "w is no finite number"},
                                                                         {4, "w is no finite number"},
                                                                         {5, count},
                                                                         {6, count}}));
  EXPECT_EQ(lists.rows, (Rows{{}, {}, {}, {}, {}, {}, {}, {{K(1), 1}, {K(2), 2}}}));

  FeatureConfig feature = Weighted();
  feature.mutable_sparse()->set_split("|");
  feature.mutable_sparse()->set_type(SparseConfig::INTEGER);
  const Extracted split = Extract(feature, Flat<arrow::StringBuilder, std::string>({"1|2", "1|x", "1|2", "1"}),
                                  Flat<arrow::StringBuilder, std::string>({"1|y", "1|2", "1||", "inf"}), /*text=*/true);
  EXPECT_EQ(
      Faults(split),
      (std::vector<std::pair<int64_t, std::string>>{
          {0, "w is no finite number"}, {1, "c is no integer"}, {2, "w is missing"}, {3, "w is no finite number"}}));
}

// Arrow lets a null row have elements; they mean nothing.
TEST(ValueWeights, NullRowsHaveNoElements) {
  const auto values = MakeLists<arrow::Int64Builder, int64_t>({std::nullopt, {{1, 2}}});
  auto floats = std::make_shared<arrow::FloatBuilder>();
  arrow::FixedSizeListBuilder fixed(arrow::default_memory_pool(), floats, 2);
  ASSERT_TRUE(fixed.AppendNull().ok());
  ASSERT_TRUE(fixed.Append().ok() && floats->Append(3).ok() && floats->Append(4).ok());
  const Extracted found = Extract(Weighted(), values, fixed.Finish().ValueOrDie());
  EXPECT_EQ(found.rows, (Rows{{}, {{K(1), 3}, {K(2), 4}}}));
  EXPECT_TRUE(found.bad.empty());
}

TEST(ValueWeights, OfAnotherFormAreRefused) {
  const auto single = Flat<arrow::Int64Builder, int64_t>({1});
  const auto number = Flat<arrow::FloatBuilder, float>({1});
  const auto string = Flat<arrow::StringBuilder, std::string>({"1"});
  const auto list = MakeLists<arrow::Int64Builder, int64_t>({{{1}}});
  const auto strings = MakeLists<arrow::StringBuilder, std::string>({{{"1"}}});
  ExpectError(Extract(Weighted(), single, list).made, StatusCode::kInvalidArgument,
              {"feature c: weight column w", "integers, float or double", "found list<"});
  ExpectError(Extract(Weighted(), single, string).made, StatusCode::kInvalidArgument, {"found string"});
  ExpectError(Extract(Weighted(), list, number).made, StatusCode::kInvalidArgument,
              {"lists of integers", "found float"});
  ExpectError(Extract(Weighted(), list, strings).made, StatusCode::kInvalidArgument, {"found list<item: string>"});
  FeatureConfig feature = Weighted();
  feature.mutable_sparse()->set_split("|");
  ExpectError(Extract(feature, string, number).made, StatusCode::kInvalidArgument,
              {"strings of numbers between '|'", "found float"});
  feature = Weighted();
  feature.mutable_sparse()->set_weight_column("v");
  ExpectError(Extract(feature, single, number).made, StatusCode::kInvalidArgument,
              {"feature c: weight_column", "expected a column 'v'"});
}

}  // namespace
}  // namespace weir
