#include "data_loader/formats/tf_example_columns.h"

#include <algorithm>

#include <arrow/array/builder_binary.h>
#include <arrow/array/builder_nested.h>
#include <arrow/array/builder_primitive.h>
#include <arrow/builder.h>
#include <arrow/record_batch.h>
#include <arrow/type.h>
#include <fmt/format.h>

#include "data_loader/lake/arrow_status.h"
#include "data_loader/lake/decode_memory.h"

namespace weir {
namespace {

std::shared_ptr<arrow::DataType> TypeOf(TfFeatureKind kind) {
  if (kind == TfFeatureKind::kInt64) return arrow::int64();
  return kind == TfFeatureKind::kFloat ? arrow::float32() : arrow::binary();
}

TfFeatureKind KindOf(const arrow::DataType& type) {
  if (type.id() == arrow::Type::INT64) return TfFeatureKind::kInt64;
  return type.id() == arrow::Type::FLOAT ? TfFeatureKind::kFloat : TfFeatureKind::kBytes;
}

Status WrongKind(std::string_view name, TfFeatureKind expected, TfFeatureKind found) {
  return InvalidArgument(fmt::format("feature '{}': expected {}, as in the records before, found {}", name,
                                     TfFeatureKindName(expected), TfFeatureKindName(found)));
}

arrow::Status AppendValues(const TfFeature& feature, arrow::ArrayBuilder* builder) {
  switch (feature.kind) {
    case TfFeatureKind::kInt64:
      return static_cast<arrow::Int64Builder*>(builder)->AppendValues(feature.integers);
    case TfFeatureKind::kFloat:
      return static_cast<arrow::FloatBuilder*>(builder)->AppendValues(feature.floats);
    default:
      for (const std::string_view bytes : feature.bytes) {
        ARROW_RETURN_NOT_OK(static_cast<arrow::BinaryBuilder*>(builder)->Append(bytes));
      }
      return arrow::Status::OK();
  }
}

}  // namespace

Status TfExampleSchema::Add(std::string_view example) {
  std::map<std::string_view, std::string_view> features;  // the last one of each name
  WEIR_RETURN_IF_ERROR(
      VisitTfExample(example, [&](std::string_view name, std::string_view feature) { features[name] = feature; }));
  for (const auto& [name, encoded] : features) {
    WEIR_RETURN_IF_ERROR(DecodeTfFeature(encoded, &feature_).Wrap(fmt::format("feature '{}'", name)));
    if (feature_.kind == TfFeatureKind::kNone) continue;
    auto column = columns_.find(name);
    if (column == columns_.end()) {
      if (columns_.size() == kTfColumnsMax) {
        return InvalidArgument(fmt::format("expected at most {} features in a file, found more", kTfColumnsMax));
      }
      const bool named = std::find(list_columns_.begin(), list_columns_.end(), name) != list_columns_.end();
      column = columns_.emplace(name, Column{feature_.kind, named}).first;
    }
    if (column->second.kind != feature_.kind) return WrongKind(name, column->second.kind, feature_.kind);
    column->second.is_list = column->second.is_list || feature_.size() > 1;
  }
  return Status();
}

std::shared_ptr<arrow::Schema> TfExampleSchema::Finish() const {
  arrow::FieldVector fields;
  for (const auto& [name, column] : columns_) {
    auto type = TypeOf(column.kind);
    fields.push_back(arrow::field(name, column.is_list ? arrow::list(std::move(type)) : std::move(type)));
  }
  return arrow::schema(std::move(fields));
}

TfExampleColumns::TfExampleColumns(std::shared_ptr<arrow::Schema> schema) : schema_(std::move(schema)) {
  for (const auto& field : schema_->fields()) {
    Column column;
    column.is_list = field->type()->id() == arrow::Type::LIST;
    column.kind = KindOf(column.is_list ? *field->type()->field(0)->type() : *field->type());
    column.builder = arrow::MakeBuilder(field->type(), DecodeMemory()).ValueOrDie();
    by_name_[field->name()] = columns_.size();
    columns_.push_back(std::move(column));
  }
}

TfExampleColumns::~TfExampleColumns() = default;

Status TfExampleColumns::Append(const std::string& name, Column* column) {
  if (!column->found) return FromArrow(column->builder->AppendNull(), name);
  WEIR_RETURN_IF_ERROR(DecodeTfFeature(column->feature, &feature_).Wrap(fmt::format("feature '{}'", name)));
  const bool null = feature_.kind == TfFeatureKind::kNone || (!column->is_list && feature_.size() == 0);
  if (null) return FromArrow(column->builder->AppendNull(), name);
  if (feature_.kind != column->kind) return WrongKind(name, column->kind, feature_.kind);
  if (!column->is_list) {
    if (feature_.size() == 1) return FromArrow(AppendValues(feature_, column->builder.get()), name);
    return InvalidArgument(fmt::format(
        "feature '{}': expected one value, as in the file's first records, found {}: if it is a list, say so "
        "in data.tfrecord.list_columns",
        name, feature_.size()));
  }
  auto* lists = static_cast<arrow::ListBuilder*>(column->builder.get());
  WEIR_RETURN_IF_ERROR(FromArrow(lists->Append(), name));
  return FromArrow(AppendValues(feature_, lists->value_builder()), name);
}

Status TfExampleColumns::Add(std::string_view example) {
  for (Column& column : columns_) column.found = false;
  WEIR_RETURN_IF_ERROR(VisitTfExample(example, [&](std::string_view name, std::string_view feature) {
    const auto wanted = by_name_.find(name);
    if (wanted == by_name_.end()) return;
    columns_[wanted->second].found = true;
    columns_[wanted->second].feature = feature;
  }));
  for (size_t i = 0; i < columns_.size(); ++i) {
    WEIR_RETURN_IF_ERROR(Append(schema_->field(static_cast<int>(i))->name(), &columns_[i]));
  }
  ++rows_;
  return Status();
}

Result<std::shared_ptr<arrow::RecordBatch>> TfExampleColumns::Finish() {
  arrow::ArrayVector arrays;
  for (Column& column : columns_) {
    WEIR_ASSIGN_OR_RETURN(auto array, FromArrow(column.builder->Finish(), "tf.Example"));
    arrays.push_back(std::move(array));
  }
  const int64_t rows = rows_;
  rows_ = 0;
  return arrow::RecordBatch::Make(schema_, rows, std::move(arrays));
}

}  // namespace weir
