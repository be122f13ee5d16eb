#include "data_loader/transforms/transform.h"

#include <map>

#include <arrow/array.h>
#include <arrow/type.h>
#include <fmt/format.h>

#include "data_loader/columns/cells.h"

namespace weir {
namespace {

using TransformFactory = Result<std::unique_ptr<ColumnTransform>> (*)(const TransformSource&);

// By the name of the field in ColumnConfig.
const std::map<std::string, TransformFactory>& Registry() {
  static const auto* const registry = new std::map<std::string, TransformFactory>{
      {"bucketize", MakeBucketize},  {"cross", MakeCross}, {"lag", MakeLag},
      {"lookup", MakeLookup},        {"split", MakeSplit}, {"time", MakeTime},
      {"vocabulary", MakeVocabulary}};
  return *registry;
}

std::string NameOf(const ColumnConfig& config) {
  const auto* field = ColumnConfig::descriptor()->FindFieldByNumber(config.transform_case());
  return field == nullptr ? "" : field->name();
}

}  // namespace

void RowFaults::Add(const std::string& column, int64_t row, const std::string& reason, const arrow::Array& values,
                    int64_t i) const {
  bad->push_back({first_row + row, column, reason, CellText(values, i)});
}

Result<std::unique_ptr<ColumnTransform>> MakeTransform(const TransformSource& source) {
  const auto found = Registry().find(NameOf(source.config));
  if (found == Registry().end()) {
    return InvalidArgument(fmt::format("column {}: expected a transform, found none", source.config.name()));
  }
  auto made = found->second(source);
  if (!made.ok()) return made.status().Wrap(fmt::format("column {}: {}", source.config.name(), found->first));
  return made;
}

std::vector<std::string> TransformNames() {
  std::vector<std::string> names;
  for (const auto& [name, factory] : Registry()) names.push_back(name);
  return names;
}

std::string KindOf(const arrow::DataType& element) { return IsStringType(element) ? "strings" : "integers"; }

Status RefuseType(const TransformSource& source, int f, const std::string& expected) {
  return InvalidArgument(fmt::format("column {}: expected {}, found {}", source.config.from(f), expected,
                                     source.types[f].type->ToString()));
}

}  // namespace weir
