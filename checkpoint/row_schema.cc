#include "checkpoint/row_schema.h"

#include <arrow/type.h>
#include <arrow/util/key_value_metadata.h>
#include <fmt/format.h>

#include "checkpoint/checkpoint.h"

namespace weir {
namespace {

std::shared_ptr<arrow::KeyValueMetadata> MakeMetadata(const RowFileHeader& header) {
  return arrow::key_value_metadata(
      {"weir.format_version", "weir.table", "weir.dim", "weir.virtual_shards", "weir.shard_begin", "weir.shard_end"},
      {std::to_string(kCheckpointFormatVersion), header.table, std::to_string(header.layout.dim),
       std::to_string(header.virtual_shards), std::to_string(header.shards.begin), std::to_string(header.shards.end)});
}

// What the metadata of the column of weights say; float32 where they say nothing.
constexpr char kWeightTypeKey[] = "weir.weight_type";

std::string WeightTypeOf(const arrow::Schema& schema) {
  const std::shared_ptr<arrow::Field> weights = schema.GetFieldByName("weights");
  if (weights == nullptr || weights->metadata() == nullptr) return WeightTypeName(TableConfig::FLOAT32);
  const int at = weights->metadata()->FindKey(kWeightTypeKey);
  return at < 0 ? WeightTypeName(TableConfig::FLOAT32) : weights->metadata()->value(at);
}

std::string Describe(const arrow::Schema& schema) {
  std::string text;
  for (const auto& field : schema.fields()) {
    if (!text.empty()) text += ", ";
    text += fmt::format("{}: {}{}", field->name(), field->type()->ToString(), field->nullable() ? "" : " not null");
  }
  return text;
}

}  // namespace

std::vector<StateColumn> ValueColumns(const RowLayout& layout) {
  std::vector<StateColumn> columns = {{"weights", layout.dim, 0}};
  for (const StateColumn& column : layout.state) columns.push_back({"state." + column.name, column.width, 0});
  return columns;
}

std::shared_ptr<arrow::Schema> MakeRowSchema(const RowFileHeader& header) {
  arrow::FieldVector fields = {arrow::field("key", arrow::uint64(), false),
                               arrow::field("last_step", arrow::int64(), false),
                               arrow::field("count", arrow::uint64(), false)};
  auto item = arrow::field("item", arrow::float32(), false);
  for (const StateColumn& column : ValueColumns(header.layout)) {
    fields.push_back(arrow::field(column.name, arrow::fixed_size_list(item, column.width), false));
  }
  if (header.layout.weight_type == TableConfig::BFLOAT16) {
    auto half = arrow::field("item", arrow::uint16(), false);
    auto type_name = arrow::key_value_metadata({kWeightTypeKey}, {WeightTypeName(header.layout.weight_type)});
    fields[kFirstValueColumn] =
        arrow::field("weights", arrow::fixed_size_list(half, header.layout.dim), false, std::move(type_name));
  }
  return arrow::schema(std::move(fields), MakeMetadata(header));
}

Status CheckRowSchema(const std::string& path, const arrow::Schema& found, const RowFileHeader& expected) {
  std::shared_ptr<arrow::Schema> schema = MakeRowSchema(expected);
  std::shared_ptr<const arrow::KeyValueMetadata> found_metadata = found.metadata();
  for (int i = 0; i < schema->metadata()->size(); ++i) {
    const std::string& name = schema->metadata()->key(i);
    const std::string& value = schema->metadata()->value(i);
    int at = found_metadata == nullptr ? -1 : found_metadata->FindKey(name);
    std::string found_value = at < 0 ? "nothing" : "\"" + found_metadata->value(at) + "\"";
    if (at >= 0 && found_metadata->value(at) == value) continue;
    std::string message = fmt::format("{}: expected {} \"{}\", found {}", path, name, value, found_value);
    bool other_job = at >= 0 && (name == "weir.format_version" || name == "weir.dim" || name == "weir.virtual_shards");
    return other_job ? FailedPrecondition(message) : DataLoss(message);
  }
  const std::string found_type = WeightTypeOf(found), expected_type = WeightTypeName(expected.layout.weight_type);
  if (found_type != expected_type) {
    return FailedPrecondition(
        fmt::format("{}: expected the weights of table \"{}\" in {}, as its weight_type is, found {}", path,
                    expected.table, expected_type, found_type));
  }
  if (!found.Equals(*schema, /*check_metadata=*/false)) {
    return FailedPrecondition(fmt::format("{}: rows of table \"{}\" have another layout: expected ({}), found ({})",
                                          path, expected.table, Describe(*schema), Describe(found)));
  }
  return Status();
}

}  // namespace weir
