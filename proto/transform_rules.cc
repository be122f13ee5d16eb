#include "proto/transform_rules.h"

#include <map>
#include <set>
#include <string>
#include <vector>

#include <fmt/format.h>

#include "proto/memory_size.h"
#include "proto/nearest_name.h"

namespace weir {
namespace {

// How many columns a transform takes.
struct Arity {
  int min = 1;
  int max = 1;
};

Arity ArityOf(const ColumnConfig& column) {
  if (column.has_lag()) return {2, 2};
  if (column.has_cross()) return {2, 8};
  return {1, 1};
}

template <typename Boundaries>
void CheckBoundaries(const Boundaries& config, const std::string& path, JobErrors* errors) {
  if (config.has_quantiles() && !config.boundaries().empty()) {
    errors->Add(path + ".quantiles", "are there and boundaries too: expected one of the two");
  }
}

void CheckVocabulary(const VocabularyConfig& config, const std::string& path, JobErrors* errors) {
  if (config.has_path() == !config.values().empty()) {
    errors->Add(path, config.has_path() ? "has a path and values too: expected one of the two"
                                        : "has neither a path nor values: expected one of the two");
  }
  std::set<std::string> seen;
  for (int i = 0; i < config.values_size(); ++i) {
    if (seen.insert(config.values(i)).second) continue;
    errors->Add(fmt::format("{}.values[{}]", path, i), fmt::format("is \"{}\", a second time", config.values(i)));
  }
}

void CheckTransform(const ColumnConfig& column, const std::string& path, JobErrors* errors) {
  const auto [min, max] = ArityOf(column);
  if (!column.from().empty() && (column.from_size() < min || column.from_size() > max)) {
    const std::string expected = min == max ? fmt::format("{}", min) : fmt::format("{} to {}", min, max);
    errors->Add(path + ".from", fmt::format("names {} columns, expected {}", column.from_size(), expected));
  }
  switch (column.transform_case()) {
    case ColumnConfig::kVocabulary:
      return CheckVocabulary(column.vocabulary(), path + ".vocabulary", errors);
    case ColumnConfig::kLookup:
      if (const auto bytes = ParseMemory(column.lookup().memory()); !bytes.ok()) {
        errors->Add(path + ".lookup.memory", bytes.status().message());
      }
      return;
    case ColumnConfig::kBucketize:
      CheckBoundaries(column.bucketize(), path + ".bucketize", errors);
      if (!column.bucketize().has_quantiles() && column.bucketize().boundaries().empty()) {
        errors->Add(path + ".bucketize", "has neither boundaries nor quantiles: expected one of the two");
      }
      for (int i = 1; i < column.bucketize().boundaries_size(); ++i) {
        const double before = column.bucketize().boundaries(i - 1), x = column.bucketize().boundaries(i);
        if (x > before) continue;
        errors->Add(fmt::format("{}.bucketize.boundaries[{}]", path, i),
                    fmt::format("is {} after {}, expected ascending numbers", x, before));
      }
      return;
    case ColumnConfig::TRANSFORM_NOT_SET:
      errors->Add(path, fmt::format("column \"{}\" has no transform: expected time {{}}, lag {{}}, cross {{}}, "
                                    "vocabulary {{}}, lookup {{}}, bucketize {{}} or split {{}}",
                                    column.name()));
      return;
    default:
      return;
  }
}

// The columns that features, label and weights read.
std::set<std::string> ColumnsRead(const Job& job) {
  std::set<std::string> read = {job.data().label().column(), job.data().weight_column(), job.data().ledger().column()};
  for (const SourceConfig* source : {&job.data().train(), &job.data().eval()}) {
    read.insert(source->sampling().negatives().hard_items().column());
  }
  for (const FeatureConfig& feature : job.features()) {
    read.insert(feature.has_column() ? feature.column() : feature.name());
    read.insert(feature.sparse().weight_column());
  }
  read.erase("");
  return read;
}

void CheckColumns(const Job& job, JobErrors* errors) {
  std::map<std::string, int> places;
  std::set<std::string> read = ColumnsRead(job);
  const std::vector<std::string> readers(read.begin(), read.end());
  for (int i = 0; i < job.columns_size(); ++i) {
    const std::string& name = job.columns(i).name();
    if (!places.emplace(name, i).second) {
      errors->Add(fmt::format("columns[{}].name", i), fmt::format("\"{}\" names another column already", name));
    }
  }
  for (int i = job.columns_size() - 1; i >= 0; --i) {
    const ColumnConfig& column = job.columns(i);
    const std::string path = fmt::format("columns[{}]", i);
    CheckTransform(column, path, errors);
    for (int f = 0; f < column.from_size(); ++f) {
      const auto found = places.find(column.from(f));
      if (found != places.end() && found->second >= i) {
        errors->Add(fmt::format("{}.from[{}]", path, f),
                    fmt::format("\"{}\" does not stand above: expected columns of the files, or those above this one",
                                column.from(f)));
      }
    }
    if (read.count(column.name()) == 0) {
      errors->Add(path + ".name", fmt::format("column \"{}\" is read by no feature, label or weight{}", column.name(),
                                              SuggestName(column.name(), readers)));
    }
    read.insert(column.from().begin(), column.from().end());
  }
}

template <typename Config>
void CheckLearned(const Config& config, bool has_numbers, const std::string& path, JobErrors* errors) {
  if (config.has_stats_file() && has_numbers) {
    errors->Add(path + ".stats_file", "is there, and the numbers to be learned from it too: expected one of the two");
  }
}

void CheckNumeric(const NumericConfig& numeric, const std::string& path, JobErrors* errors) {
  const StandardConfig& standard = numeric.standard();
  const MinMaxConfig& min_max = numeric.min_max();
  CheckLearned(standard, standard.has_mean() || standard.has_stddev(), path + ".standard", errors);
  CheckLearned(min_max, min_max.has_min() || min_max.has_max(), path + ".min_max", errors);
  if (numeric.has_standard() && numeric.has_min_max()) {
    errors->Add(path + ".min_max", "is there and standard too: expected one of the two");
  }
  if (numeric.has_min_max() && !(min_max.max() > min_max.min())) {
    errors->Add(path + ".min_max.max", fmt::format("is {}, expected more than min {}", min_max.max(), min_max.min()));
  }
  if (numeric.has_split() && numeric.split().empty()) {
    errors->Add(path + ".split", "is empty, expected a separator");
  } else if (numeric.has_split() && numeric.length() == 0) {
    errors->Add(path + ".split", "is for vectors: expected length, the numbers of one");
  }
}

int CutAt(const SparseConfig& sparse) {
  return sparse.pooling() == SparseConfig::NONE ? sparse.max_length() : sparse.max_values();
}

void CheckSequence(const SparseConfig& sparse, const std::string& path, JobErrors* errors) {
  if (sparse.pooling() == SparseConfig::NONE && sparse.max_values() != 0) {
    errors->Add(path + ".max_values", "is for what is pooled; with pooling NONE expected max_length alone");
  }
  if (sparse.keep() == SparseConfig::LAST && CutAt(sparse) == 0) {
    errors->Add(path + ".keep", "is LAST: expected max_values (with pooling NONE max_length), the values that stay");
  }
  if (sparse.has_group() && sparse.has_weight_column()) {
    errors->Add(path + ".group", "does not go with weight_column");
  }
}

void CheckGroups(const Job& job, JobErrors* errors) {
  std::map<std::string, std::vector<int>> groups;
  for (int i = 0; i < job.features_size(); ++i) {
    const SparseConfig& sparse = job.features(i).sparse();
    if (sparse.has_group()) groups[sparse.group()].push_back(i);
  }
  std::vector<std::string> names;
  for (const auto& [name, features] : groups) names.push_back(name);
  for (const auto& [name, features] : groups) {
    const FeatureConfig& first = job.features(features[0]);
    if (features.size() == 1) {
      std::vector<std::string> others = names;
      std::erase(others, name);
      errors->Add(fmt::format("features[{}].sparse.group", features[0]),
                  fmt::format("\"{}\" has this feature alone, expected several{}", name, SuggestName(name, others)));
    }
    for (const int i : features) {
      const SparseConfig& sparse = job.features(i).sparse();
      if (CutAt(sparse) == CutAt(first.sparse()) && sparse.keep() == first.sparse().keep()) continue;
      errors->Add(fmt::format("features[{}].sparse.group", i),
                  fmt::format("\"{}\": expected the same values to stay as of feature \"{}\" ({} {}), found {} {}",
                              name, first.name(), SparseConfig::Keep_Name(first.sparse().keep()), CutAt(first.sparse()),
                              SparseConfig::Keep_Name(sparse.keep()), CutAt(sparse)));
    }
  }
}

}  // namespace

void CheckTransforms(const Job& job, JobErrors* errors) {
  CheckColumns(job, errors);
  for (int i = 0; i < job.features_size(); ++i) {
    const FeatureConfig& feature = job.features(i);
    const std::string path = fmt::format("features[{}]", i);
    if (feature.has_numeric()) CheckNumeric(feature.numeric(), path + ".numeric", errors);
    if (!feature.has_sparse()) continue;
    CheckSequence(feature.sparse(), path + ".sparse", errors);
    CheckBoundaries(feature.sparse(), path + ".sparse", errors);
  }
  CheckGroups(job, errors);
}

}  // namespace weir
