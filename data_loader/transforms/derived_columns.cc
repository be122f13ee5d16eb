#include "data_loader/transforms/derived_columns.h"

#include <algorithm>

#include <arrow/record_batch.h>
#include <arrow/type.h>
#include <fmt/format.h>
#include <fmt/ranges.h>

#include "data_loader/formats/lake_file.h"
#include "data_loader/lake/arrow_status.h"

namespace weir {

DerivedColumns::DerivedColumns(const Job& job, SideFiles* files)
    : configs_(job.columns().begin(), job.columns().end()), files_(files) {
  for (size_t i = 0; i < configs_.size(); ++i) places_.emplace(configs_[i].name(), static_cast<int>(i));
  if (files_ == nullptr) own_files_ = std::make_unique<SideFiles>();
  if (files_ == nullptr) files_ = own_files_.get();
}

Result<const arrow::Field*> DerivedColumns::Add(const std::string& name, const arrow::Schema& schema,
                                                const FindColumn& find) {
  return AddAt(places_.at(name), schema, find);
}

Result<const arrow::Field*> DerivedColumns::AddAt(int place, const arrow::Schema& schema, const FindColumn& find) {
  const ColumnConfig& config = configs_[place];
  if (const auto added = added_at_.find(config.name()); added != added_at_.end()) {
    return added_[added->second].field.get();
  }
  if (schema.GetFieldIndex(config.name()) >= 0 || schema.GetAllFieldIndices(config.name()).size() > 1) {
    return InvalidArgument(
        fmt::format("column {}: the file has a column of that name already: expected another name "
                    "for the one that is made",
                    config.name()));
  }
  TransformSource source{config, {}, files_};
  for (const std::string& from : config.from()) {
    const auto above = places_.find(from);
    const bool is_made = above != places_.end();
    if (is_made && above->second >= place) {
      return InvalidArgument(fmt::format("column {}: from: {} does not stand above it", config.name(), from));
    }
    WEIR_ASSIGN_OR_RETURN(const arrow::Field* field, is_made ? AddAt(above->second, schema, find) : find(from));
    source.types.push_back({field->type(), IsText(*field)});
  }
  WEIR_ASSIGN_OR_RETURN(auto transform, MakeTransform(source));
  const ColumnType& type = transform->type();
  const auto field = arrow::field(config.name(), type.type);
  Column column{type.text ? AsText(field) : field, {config.from().begin(), config.from().end()}, std::move(transform)};
  added_at_[config.name()] = static_cast<int>(added_.size());
  added_.push_back(std::move(column));
  return added_.back().field.get();
}

bool DerivedColumns::Reads(const std::string& column) const {
  return std::any_of(added_.begin(), added_.end(), [&](const Column& added) {
    return std::find(added.from.begin(), added.from.end(), column) != added.from.end();
  });
}

Status DerivedColumns::CheckAgrees(const DerivedColumns& other) const {
  for (size_t c = 0; c < added_.size(); ++c) {
    const auto at = other.added_at_.find(added_[c].field->name());
    if (at == other.added_at_.end()) continue;
    const auto own = added_[c].transform->HashedKinds(), others = other.added_[at->second].transform->HashedKinds();
    if (own == others) continue;
    return InvalidArgument(
        fmt::format("column {}: expected {}, as in the files before, found {}: they would be hashed apart",
                    added_[c].field->name(), fmt::join(own, ", "), fmt::join(others, ", ")));
  }
  return Status();
}

Result<std::shared_ptr<arrow::RecordBatch>> DerivedColumns::AppendTo(const arrow::RecordBatch& rows, int64_t first_row,
                                                                     std::vector<BadRow>* bad) const {
  arrow::FieldVector fields = rows.schema()->fields();
  arrow::ArrayVector arrays = rows.columns();
  ArrayList made;
  for (const Column& column : added_) {
    ArrayList inputs;
    for (const std::string& name : column.from) {
      const auto found = added_at_.find(name);
      inputs.push_back(found != added_at_.end() ? made[found->second] : rows.GetColumnByName(name));
      if (inputs.back() == nullptr) return Internal(fmt::format("column {} was not read", name));
    }
    auto array = column.transform->Apply(inputs, {first_row, bad});
    if (!array.ok()) return array.status().Wrap(fmt::format("column {}", column.field->name()));
    made.push_back(*array);
    fields.push_back(column.field);
    arrays.push_back(std::move(array).value());
  }
  return arrow::RecordBatch::Make(arrow::schema(std::move(fields), rows.schema()->metadata()), rows.num_rows(),
                                  std::move(arrays));
}

}  // namespace weir
