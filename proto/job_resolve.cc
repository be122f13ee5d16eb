#include "proto/job_resolve.h"

#include <algorithm>
#include <charconv>

#include <fmt/format.h>

namespace weir {
namespace {

// A string field of an entry that may hold a range.
struct RangeField {
  std::string path;  // below the entry: "sparse.table"
  std::string value;
  std::vector<std::string> names;  // the value expanded
};

bool ParseBound(std::string_view text, int64_t* bound) {
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), *bound);
  return error == std::errc() && end == text.data() + text.size() && !text.empty() && *bound >= 0;
}

// Expands the fields of one entry together. The number of entries it stands for, or 0 after an error.
size_t ExpandTogether(const std::string& entry_path, std::vector<RangeField>* fields, JobErrors* errors) {
  size_t length = 1;
  const RangeField* longest = nullptr;
  bool sound = true;
  for (RangeField& field : *fields) {
    const Result<std::vector<std::string>> names = ExpandRange(field.value);
    if (!names.ok()) {
      errors->Add(entry_path + "." + field.path, names.status().message());
      sound = false;
      continue;
    }
    field.names = *names;
    if (field.names.size() > length) {
      length = field.names.size();
      longest = &field;
    }
  }
  if (!sound) return 0;
  for (const RangeField& field : *fields) {
    const bool name_stays = field.path == "name" && field.names.size() != length;
    if (!name_stays && (field.names.size() == 1 || field.names.size() == length)) continue;
    errors->Add(entry_path + "." + field.path,
                fmt::format("\"{}\" stands for {} and {} \"{}\" for {}: expected ranges of equal length", field.value,
                            field.names.size(), longest->path, longest->value, longest->names.size()));
    sound = false;
  }
  return sound ? length : 0;
}

const std::string& NameAt(const RangeField& field, size_t i) {
  return field.names.size() == 1 ? field.names[0] : field.names[i];
}

void SetFeatureField(const std::string& path, const std::string& value, FeatureConfig* feature) {
  if (path == "name") feature->set_name(value);
  if (path == "column") feature->set_column(value);
  if (path == "sparse.table") feature->mutable_sparse()->set_table(value);
  if (path == "sparse.hash_space") feature->mutable_sparse()->set_hash_space(value);
  if (path == "sparse.weight_column") feature->mutable_sparse()->set_weight_column(value);
}

std::vector<RangeField> FeatureRangeFields(const FeatureConfig& feature) {
  std::vector<RangeField> fields = {{"name", feature.name(), {}}};
  if (feature.has_column()) fields.push_back({"column", feature.column(), {}});
  if (feature.sparse().has_table()) fields.push_back({"sparse.table", feature.sparse().table(), {}});
  if (feature.sparse().has_hash_space()) fields.push_back({"sparse.hash_space", feature.sparse().hash_space(), {}});
  if (feature.sparse().has_weight_column()) {
    fields.push_back({"sparse.weight_column", feature.sparse().weight_column(), {}});
  }
  return fields;
}

void FillFeature(FeatureConfig* feature) {
  if (!feature->has_column()) feature->set_column(feature->name());
  if (!feature->has_sparse()) return;
  SparseConfig* sparse = feature->mutable_sparse();
  if (!sparse->has_table()) sparse->set_table(feature->name());
  if (!sparse->has_hash_space()) sparse->set_hash_space(sparse->table());
}

std::vector<int> ExpandFeatures(Job* job, JobErrors* errors) {
  std::vector<int> origins;
  google::protobuf::RepeatedPtrField<FeatureConfig> written;
  written.Swap(job->mutable_features());
  for (int i = 0; i < written.size(); ++i) {
    std::vector<RangeField> fields = FeatureRangeFields(written[i]);
    const size_t length = ExpandTogether(fmt::format("features[{}]", i), &fields, errors);
    for (size_t j = 0; j < std::max<size_t>(length, 1); ++j) {
      FeatureConfig* feature = job->add_features();
      *feature = written[i];
      if (length > 0) {
        for (const RangeField& field : fields) SetFeatureField(field.path, NameAt(field, j), feature);
      }
      FillFeature(feature);
      origins.push_back(i);
    }
  }
  return origins;
}

std::vector<int> ExpandTables(Job* job, JobErrors* errors) {
  std::vector<int> origins;
  google::protobuf::RepeatedPtrField<TableConfig> written;
  written.Swap(job->mutable_tables());
  for (int i = 0; i < written.size(); ++i) {
    std::vector<RangeField> fields = {{"name", written[i].name(), {}}};
    const size_t length = ExpandTogether(fmt::format("tables[{}]", i), &fields, errors);
    for (size_t j = 0; j < std::max<size_t>(length, 1); ++j) {
      TableConfig* table = job->add_tables();
      *table = written[i];
      if (length > 0) table->set_name(NameAt(fields[0], j));
      origins.push_back(i);
    }
  }
  return origins;
}

// A list of columns, some of them ranges.
void ExpandNames(const std::string& path, google::protobuf::RepeatedPtrField<std::string>* list, JobErrors* errors) {
  google::protobuf::RepeatedPtrField<std::string> written;
  written.Swap(list);
  for (int i = 0; i < written.size(); ++i) {
    const Result<std::vector<std::string>> names = ExpandRange(written[i]);
    if (!names.ok()) {
      errors->Add(fmt::format("{}[{}]", path, i), names.status().message());
      continue;
    }
    for (const std::string& name : *names) *list->Add() = name;
  }
}

void ExpandColumns(Job* job, JobErrors* errors) {
  if (job->data().has_csv()) {
    ExpandNames("data.csv.column_names", job->mutable_data()->mutable_csv()->mutable_column_names(), errors);
  }
  for (int i = 0; i < job->columns_size(); ++i) {
    ColumnConfig* column = job->mutable_columns(i);
    ExpandNames(fmt::format("columns[{}].from", i), column->mutable_from(), errors);
    if (!column->lookup().has_csv()) continue;
    ExpandNames(fmt::format("columns[{}].lookup.csv.column_names", i),
                column->mutable_lookup()->mutable_csv()->mutable_column_names(), errors);
  }
}

void FillOptimizers(Job* job) {
  OptimizerConfig* rows = job->mutable_optimizers()->mutable_rows();
  if (rows->rule_case() == OptimizerConfig::RULE_NOT_SET) rows->mutable_rowwise_adagrad();
  if (!rows->has_learning_rate()) rows->set_learning_rate(rows->learning_rate());
  OptimizerConfig* dense = job->mutable_optimizers()->mutable_dense();
  if (dense->rule_case() == OptimizerConfig::RULE_NOT_SET) {
    dense->mutable_adam();
    if (!dense->has_learning_rate()) dense->set_learning_rate(0.001);
  }
  if (!dense->has_learning_rate()) dense->set_learning_rate(dense->learning_rate());
}

void FillTables(Job* job) {
  for (TableConfig& table : *job->mutable_tables()) {
    InitializerConfig* initializer = table.mutable_initializer();
    if (initializer->kind_case() == InitializerConfig::KIND_NOT_SET) initializer->mutable_uniform()->set_scale(0.05);
    if (!table.has_optimizer()) *table.mutable_optimizer() = job->optimizers().rows();
    OptimizerConfig* optimizer = table.mutable_optimizer();
    if (optimizer->rule_case() == OptimizerConfig::RULE_NOT_SET) optimizer->mutable_rowwise_adagrad();
  }
}

}  // namespace

Result<std::vector<std::string>> ExpandRange(const std::string& name) {
  const size_t open = name.find('[');
  if (open == std::string::npos && name.find(']') == std::string::npos) return std::vector<std::string>{name};
  const size_t close = name.find(']');
  const std::string expected = fmt::format("\"{}\" is no range: expected a form like C[1-26]", name);
  if (open == std::string::npos || close == std::string::npos || close < open ||
      name.find_first_of("[]", close + 1) != std::string::npos || name.find('[', open + 1) != std::string::npos) {
    return InvalidArgument(expected);
  }
  const std::string_view inside = std::string_view(name).substr(open + 1, close - open - 1);
  const size_t dash = inside.find('-');
  int64_t first = 0, last = 0;
  if (dash == std::string_view::npos || !ParseBound(inside.substr(0, dash), &first) ||
      !ParseBound(inside.substr(dash + 1), &last)) {
    return InvalidArgument(expected);
  }
  if (first > last) return InvalidArgument(fmt::format("\"{}\" falls: expected the smaller number first", name));
  constexpr int64_t kNamesMax = 100'000;
  if (last - first >= kNamesMax) {
    return InvalidArgument(fmt::format("\"{}\" stands for more than {} names", name, kNamesMax));
  }
  // "[01-12]" keeps its leading zeros.
  const int digits = inside[0] == '0' ? static_cast<int>(dash) : 1;
  std::vector<std::string> names;
  for (int64_t i = first; i <= last; ++i) {
    names.push_back(fmt::format("{}{:0{}}{}", name.substr(0, open), i, digits, name.substr(close + 1)));
  }
  return names;
}

JobOrigins ResolveJob(Job* job, JobErrors* errors) {
  JobOrigins origins;
  origins.features = ExpandFeatures(job, errors);
  origins.tables = ExpandTables(job, errors);
  ExpandColumns(job, errors);
  FillOptimizers(job);
  FillTables(job);
  return origins;
}

}  // namespace weir
