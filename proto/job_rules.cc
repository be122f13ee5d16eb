#include "proto/job_rules.h"

#include <cmath>
#include <set>

#include <fmt/format.h>
#include <google/protobuf/descriptor.h>

#include "proto/field_options.pb.h"
#include "proto/nearest_name.h"
#include "proto/partition_filter.h"
#include "proto/sampling_rules.h"
#include "proto/table_rules.h"
#include "proto/transform_rules.h"

namespace weir {
namespace {

using google::protobuf::FieldDescriptor;
using google::protobuf::Message;
using google::protobuf::Reflection;

bool IsNumber(const FieldDescriptor* field) {
  switch (field->cpp_type()) {
    case FieldDescriptor::CPPTYPE_INT32:
    case FieldDescriptor::CPPTYPE_INT64:
    case FieldDescriptor::CPPTYPE_UINT64:
    case FieldDescriptor::CPPTYPE_DOUBLE:
      return true;
    default:
      return false;
  }
}

double NumberAt(const Message& message, const FieldDescriptor* field, int index) {
  const Reflection* reflection = message.GetReflection();
  const bool list = field->is_repeated();
  switch (field->cpp_type()) {
    case FieldDescriptor::CPPTYPE_INT32:
      return list ? reflection->GetRepeatedInt32(message, field, index) : reflection->GetInt32(message, field);
    case FieldDescriptor::CPPTYPE_INT64:
      return list ? reflection->GetRepeatedInt64(message, field, index) : reflection->GetInt64(message, field);
    case FieldDescriptor::CPPTYPE_UINT64:
      return list ? reflection->GetRepeatedUInt64(message, field, index) : reflection->GetUInt64(message, field);
    default:
      return list ? reflection->GetRepeatedDouble(message, field, index) : reflection->GetDouble(message, field);
  }
}

// "" when the value follows the rule, else what was expected.
std::string BrokenRule(double value, const FieldSpec& spec) {
  if (!std::isfinite(value)) return "a finite number";
  if (spec.has_min() && spec.has_max() && spec.min() == spec.max() && value != spec.min()) {
    return fmt::format("{}: other values are not supported so far", spec.min());
  }
  if (spec.has_min() && value < spec.min()) return fmt::format("at least {}", spec.min());
  if (spec.has_max() && value > spec.max()) return fmt::format("at most {}", spec.max());
  if (spec.has_above() && !(value > spec.above())) return fmt::format("more than {}", spec.above());
  if (spec.has_below() && !(value < spec.below())) return fmt::format("less than {}", spec.below());
  return "";
}

void CheckNumber(const Message& message, const FieldDescriptor* field, int index, const std::string& path,
                 JobErrors* errors) {
  const FieldSpec& spec = field->options().GetExtension(weir::spec);
  const double value = NumberAt(message, field, index);
  const std::string expected = BrokenRule(value, spec);
  if (expected.empty()) return;
  const std::string unit = spec.has_unit() ? " " + spec.unit() : "";
  errors->Add(path, fmt::format("is {}{}, expected {}", value, unit, expected));
}

void CheckMessage(const Message& message, const std::string& prefix, JobErrors* errors);

void CheckField(const Message& message, const FieldDescriptor* field, const std::string& path, JobErrors* errors) {
  const Reflection* reflection = message.GetReflection();
  const int count = field->is_repeated() ? reflection->FieldSize(message, field)
                                         : static_cast<int>(reflection->HasField(message, field));
  const bool required = field->options().GetExtension(weir::spec).required();
  if (required && count == 0) {
    errors->Add(path, "is required");
    return;
  }
  for (int i = 0; i < count; ++i) {
    const std::string here = field->is_repeated() ? fmt::format("{}[{}]", path, i) : path;
    if (field->cpp_type() == FieldDescriptor::CPPTYPE_MESSAGE) {
      CheckMessage(field->is_repeated() ? reflection->GetRepeatedMessage(message, field, i)
                                        : reflection->GetMessage(message, field),
                   here + ".", errors);
    } else if (IsNumber(field)) {
      CheckNumber(message, field, i, here, errors);
    } else if (required && field->cpp_type() == FieldDescriptor::CPPTYPE_STRING && !field->is_repeated() &&
               reflection->GetString(message, field).empty()) {
      errors->Add(here, "is required, but empty");
    }
  }
}

void CheckMessage(const Message& message, const std::string& prefix, JobErrors* errors) {
  const google::protobuf::Descriptor* type = message.GetDescriptor();
  for (int i = 0; i < type->field_count(); ++i) {
    CheckField(message, type->field(i), prefix + type->field(i)->name(), errors);
  }
}

void CheckSource(const SourceConfig& source, const std::string& path, JobErrors* errors) {
  for (int i = 0; i < source.uri_size(); ++i) {
    if (source.uri(i).empty()) errors->Add(fmt::format("{}.uri[{}]", path, i), "is empty, expected a path");
  }
  for (int i = 0; i < source.filter_size(); ++i) {
    const auto filter = ParsePartitionFilter(source.filter(i));
    if (!filter.ok()) errors->Add(fmt::format("{}.filter[{}]", path, i), filter.status().message());
  }
}

void CheckData(const DataConfig& data, JobErrors* errors) {
  CheckSource(data.train(), "data.train", errors);
  CheckSource(data.eval(), "data.eval", errors);
  const CsvConfig& csv = data.csv();
  if (csv.has_delimiter() && csv.delimiter().size() != 1) {
    errors->Add("data.csv.delimiter", fmt::format("is \"{}\", expected one character", csv.delimiter()));
  }
  if (!csv.header() && csv.column_names().empty()) {
    errors->Add("data.csv.header", "is false: expected data.csv.column_names, which then name the columns");
  }
  std::set<std::string> columns;
  for (int i = 0; i < csv.column_names_size(); ++i) {
    if (!columns.insert(csv.column_names(i)).second) {
      errors->Add(fmt::format("data.csv.column_names[{}]", i),
                  fmt::format("names the column \"{}\" again", csv.column_names(i)));
    }
  }
  // Neither has a default.
  const auto check_policy = [&](const auto& config, const char* path) {
    if (config.on_bad_row() == DataConfig::DEFAULT) errors->Add(path, "is DEFAULT, expected SKIP or STOP");
  };
  check_policy(csv, "data.csv.on_bad_row");
  check_policy(data.label(), "data.label.on_bad_row");
}

void CheckPooling(const SparseConfig& sparse, const std::string& path, JobErrors* errors) {
  const std::string pooling = SparseConfig::Pooling_Name(sparse.pooling());
  if (sparse.pooling() == SparseConfig::WEIGHTED_SUM) {
    if (sparse.weight_column().empty()) errors->Add(path + ".weight_column", "is required with pooling WEIGHTED_SUM");
  } else if (sparse.has_weight_column()) {
    errors->Add(path + ".weight_column", fmt::format("is for pooling WEIGHTED_SUM only, but pooling is {}", pooling));
  }
  if (sparse.pooling() == SparseConfig::NONE) {
    if (sparse.max_length() == 0) {
      errors->Add(path + ".max_length", "is required with pooling NONE, at least 1: the places of the sequence");
    }
  } else if (sparse.max_length() != 0) {
    errors->Add(path + ".max_length", fmt::format("is for pooling NONE only, but pooling is {}", pooling));
  }
}

void CheckSparse(const SparseConfig& sparse, const std::string& path, JobErrors* errors) {
  CheckPooling(sparse, path, errors);
  const SparseConfig::ValueType type = sparse.type();
  const bool buckets_numbers = !sparse.boundaries().empty() || sparse.has_quantiles();
  for (int i = 1; i < sparse.boundaries_size(); ++i) {
    if (sparse.boundaries(i) > sparse.boundaries(i - 1)) continue;
    errors->Add(fmt::format("{}.boundaries[{}]", path, i), fmt::format("is {} after {}, expected ascending numbers",
                                                                       sparse.boundaries(i), sparse.boundaries(i - 1)));
  }
  if (buckets_numbers && type == SparseConfig::STRING) {
    errors->Add(path + ".boundaries", "apply to numbers, but type is STRING");
  }
  if (type == SparseConfig::FLOATING && !buckets_numbers) {
    errors->Add(path + ".type", "is FLOATING: floats are no keys; expected boundaries, or a numeric feature");
  }
  if (sparse.has_split() && sparse.split().empty()) errors->Add(path + ".split", "is empty, expected a separator");
  if (!sparse.identity()) return;
  if (type == SparseConfig::STRING || type == SparseConfig::FLOATING) {
    errors->Add(path + ".identity",
                fmt::format("takes integers as they are, but type is {}", SparseConfig::ValueType_Name(type)));
  }
  if (sparse.has_split()) errors->Add(path + ".identity", "takes integers as they are; it does not go with split");
  if (buckets_numbers) errors->Add(path + ".identity", "takes integers as they are; it does not go with boundaries");
}

void CheckFeatures(const Job& job, JobErrors* errors) {
  std::vector<std::string> tables;
  for (const TableConfig& table : job.tables()) tables.push_back(table.name());
  const std::set<std::string> known_tables(tables.begin(), tables.end());
  std::set<std::string> names, used_tables;
  for (int i = 0; i < job.features_size(); ++i) {
    const FeatureConfig& feature = job.features(i);
    const std::string path = fmt::format("features[{}]", i);
    if (!names.insert(feature.name()).second) {
      errors->Add(path + ".name", fmt::format("\"{}\" names another feature already", feature.name()));
    }
    if (feature.has_sparse()) {
      CheckSparse(feature.sparse(), path + ".sparse", errors);
      used_tables.insert(feature.sparse().table());
      if (known_tables.count(feature.sparse().table()) == 0) {
        errors->Add(path + ".sparse.table",
                    fmt::format("feature \"{}\" looks up table \"{}\", which the job does not have{}", feature.name(),
                                feature.sparse().table(), SuggestName(feature.sparse().table(), tables)));
      }
    } else if (feature.has_numeric()) {
      const NumericConfig& numeric = feature.numeric();
      if (numeric.has_clip_min() && numeric.has_clip_max() && numeric.clip_min() > numeric.clip_max()) {
        errors->Add(path + ".numeric.clip_min",
                    fmt::format("is {}, above clip_max {}", numeric.clip_min(), numeric.clip_max()));
      }
    } else {
      errors->Add(path,
                  fmt::format("feature \"{}\" has no kind: expected sparse {{}} or numeric {{}}", feature.name()));
    }
  }
  for (int i = 0; i < job.tables_size(); ++i) {
    if (used_tables.count(job.tables(i).name()) == 0) {
      errors->Add(fmt::format("tables[{}].name", i),
                  fmt::format("table \"{}\" is looked up by no feature", job.tables(i).name()));
    }
  }
}

void CheckOptimizer(const OptimizerConfig& optimizer, const std::string& path, JobErrors* errors) {
  if (optimizer.schedule().decay() != ScheduleConfig::NONE && optimizer.schedule().decay_steps() == 0) {
    errors->Add(path + ".schedule.decay", "needs decay_steps of at least 1");
  }
  if ((optimizer.has_ftrl() || optimizer.has_group_lasso_ftrl()) && optimizer.learning_rate() == 0) {
    errors->Add(path + ".learning_rate", "is 0, expected more: it is the alpha of FTRL, which divides by it");
  }
}

void CheckOptimizers(const Job& job, JobErrors* errors) {
  CheckOptimizer(job.optimizers().rows(), "optimizers.rows", errors);
  CheckOptimizer(job.optimizers().dense(), "optimizers.dense", errors);
  const OptimizerConfig& dense = job.optimizers().dense();
  for (const auto& [name, is_set] :
       {std::pair("rowwise_adagrad", dense.has_rowwise_adagrad()), std::pair("ftrl", dense.has_ftrl()),
        std::pair("group_lasso_ftrl", dense.has_group_lasso_ftrl())}) {
    if (!is_set) continue;
    errors->Add(fmt::format("optimizers.dense.{}", name), "is for rows only: expected sgd, momentum, adagrad or adam");
  }
}

void CheckTables(const Job& job, JobErrors* errors) {
  std::set<std::string> names;
  const std::string rows = job.optimizers().rows().SerializeAsString();
  for (int i = 0; i < job.tables_size(); ++i) {
    // One that was filled in from optimizers.rows has been checked there.
    if (job.tables(i).optimizer().SerializeAsString() != rows) {
      CheckOptimizer(job.tables(i).optimizer(), fmt::format("tables[{}].optimizer", i), errors);
    }
    CheckTableLimits(job, i, errors);
    if (job.tables(i).async() && job.tables(i).staleness() > 0) {
      errors->Add(
          fmt::format("tables[{}].async", i),
          fmt::format("is true and its staleness is {}: expected one of the two modes", job.tables(i).staleness()));
    }
    if (names.insert(job.tables(i).name()).second) continue;
    errors->Add(fmt::format("tables[{}].name", i),
                fmt::format("\"{}\" names another table already", job.tables(i).name()));
  }
}

void CheckCluster(const ClusterConfig& cluster, JobErrors* errors) {
  const int shards = cluster.virtual_shards();
  if (shards >= 1 && (shards & (shards - 1)) != 0) {
    errors->Add("cluster.virtual_shards", fmt::format("is {}, expected a power of two", shards));
  }
  if (cluster.async() && cluster.staleness() > 0) {
    errors->Add("cluster.async",
                fmt::format("is true and cluster.staleness is {}: expected one of the two modes", cluster.staleness()));
  }
}

}  // namespace

void CheckFieldRules(const Message& message, JobErrors* errors) { CheckMessage(message, "", errors); }

void CheckMeaning(const Job& job, JobErrors* errors) {
  CheckData(job.data(), errors);
  CheckSampling(job, errors);
  CheckFeatures(job, errors);
  CheckTransforms(job, errors);
  CheckTables(job, errors);
  if (job.has_model() && job.model().kind_case() == ModelConfig::KIND_NOT_SET) {
    errors->Add("model", "names no model: expected one of logistic_regression {}, deepfm {} or dlrm {}");
  }
  CheckOptimizers(job, errors);
  CheckCluster(job.cluster(), errors);
}

}  // namespace weir
