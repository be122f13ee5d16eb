// Columns from JSON, and transforms applied to them.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include <arrow/api.h>
#include <arrow/json/from_string.h>
#include <google/protobuf/text_format.h>
#include <gtest/gtest.h>

#include "data_loader/transforms/derived_columns.h"
#include "data_loader/transforms/transform.h"
#include "proto/job.pb.h"

namespace weir {

// "int64", "list<string>", "large_list<int64>", "timestamp[ms]"; "text" is a string of a text format.
inline std::shared_ptr<arrow::DataType> TypeNamed(const std::string& name) {
  static const std::map<std::string, std::shared_ptr<arrow::DataType>> types = {
      {"int8", arrow::int8()},
      {"int16", arrow::int16()},
      {"int32", arrow::int32()},
      {"int64", arrow::int64()},
      {"uint8", arrow::uint8()},
      {"uint16", arrow::uint16()},
      {"uint32", arrow::uint32()},
      {"uint64", arrow::uint64()},
      {"float", arrow::float32()},
      {"double", arrow::float64()},
      {"bool", arrow::boolean()},
      {"string", arrow::utf8()},
      {"large_string", arrow::large_utf8()},
      {"text", arrow::utf8()},
      {"date32", arrow::date32()},
      {"date64", arrow::date64()},
      {"timestamp[s]", arrow::timestamp(arrow::TimeUnit::SECOND)},
      {"timestamp[ms]", arrow::timestamp(arrow::TimeUnit::MILLI)},
      {"timestamp[us]", arrow::timestamp(arrow::TimeUnit::MICRO)},
      {"timestamp[ns]", arrow::timestamp(arrow::TimeUnit::NANO)}};
  const size_t open = name.find('<');
  if (open == std::string::npos) return types.at(name);
  const auto element = TypeNamed(name.substr(open + 1, name.size() - open - 2));
  return name.starts_with("large_") ? arrow::large_list(element) : arrow::list(element);
}

inline std::shared_ptr<arrow::Array> ArrayOfJson(const std::string& type, const std::string& json) {
  auto array = arrow::json::ArrayFromJSONString(TypeNamed(type), json);
  EXPECT_TRUE(array.ok()) << array.status().ToString() << " " << json;
  return array.ok() ? *array : nullptr;
}

struct Input {
  std::string type;
  std::shared_ptr<arrow::Array> array;
};

inline Input Column(const std::string& type, const std::string& json) { return {type, ArrayOfJson(type, json)}; }

struct Made {
  Status status;  // of the factory, or of Apply
  std::shared_ptr<arrow::Array> array;
  std::vector<BadRow> bad;
};

// config: of ColumnConfig, `time { part: DAY }`; the inputs are called "a", "b" and so on. Applied to the whole and,
// joined again, to two slices, which must come to the same.
inline Made Transform(const std::string& config_text, const std::vector<Input>& inputs, SideFiles* files = nullptr) {
  Made made;
  SideFiles own;
  ColumnConfig config;
  EXPECT_TRUE(google::protobuf::TextFormat::ParseFromString(config_text, &config)) << config_text;
  config.set_name("made");
  TransformSource source{config, {}, files != nullptr ? files : &own};
  ArrayList arrays, firsts, seconds;
  for (size_t i = 0; i < inputs.size(); ++i) {
    config.add_from(std::string(1, static_cast<char>('a' + i)));
    source.types.push_back({inputs[i].array->type(), inputs[i].type == "text"});
    arrays.push_back(inputs[i].array);
    firsts.push_back(inputs[i].array->Slice(0, inputs[i].array->length() / 2));
    seconds.push_back(inputs[i].array->Slice(inputs[i].array->length() / 2));
  }
  auto transform = MakeTransform(source);
  made.status = transform.status();
  if (!transform.ok()) return made;
  auto array = (*transform)->Apply(arrays, {0, &made.bad});
  made.status = array.status();
  if (!array.ok()) return made;
  made.array = *array;
  EXPECT_TRUE(made.array->ValidateFull().ok()) << made.array->ValidateFull().ToString();
  EXPECT_TRUE(made.array->type()->Equals((*transform)->type().type)) << made.array->type()->ToString();
  EXPECT_EQ(made.array->length(), arrays[0]->length());
  std::vector<BadRow> bad;
  const auto first = (*transform)->Apply(firsts, {0, &bad});
  const auto second = (*transform)->Apply(seconds, {firsts[0]->length(), &bad});
  EXPECT_TRUE(first.ok() && second.ok());
  EXPECT_TRUE(arrow::Concatenate({*first, *second}).ValueOrDie()->Equals(made.array)) << config_text;
  EXPECT_EQ(bad.size(), made.bad.size());
  for (size_t i = 0; i < bad.size() && i < made.bad.size(); ++i) EXPECT_EQ(bad[i].row, made.bad[i].row);
  return made;
}

}  // namespace weir
