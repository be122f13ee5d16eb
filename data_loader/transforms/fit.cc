#include "data_loader/transforms/fit.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <vector>

#include <fmt/format.h>
#include <google/protobuf/util/json_util.h>

#include "data_loader/columns/numeric_column.h"
#include "data_loader/transforms/side_files.h"
#include "proto/nearest_name.h"

namespace weir {
namespace {

// Statistics files, each read once.
class StatsFiles {
 public:
  // Of a column of numbers.
  Result<const ColumnStats*> Find(const std::string& path, const std::string& column) {
    WEIR_ASSIGN_OR_RETURN(const LakeStats* stats, Read(path));
    std::vector<std::string> names;
    for (const ColumnStats& entry : stats->columns()) {
      names.push_back(entry.name());
      if (entry.name() != column) continue;
      if (entry.values() > 0 && entry.min() < entry.max() && std::isfinite(entry.max() - entry.min())) return &entry;
      return InvalidArgument(
          fmt::format("{}: column {}: expected at least two different numbers to learn from, found {}", path, column,
                      entry.values() > 0 ? "one" : "none"));
    }
    return InvalidArgument(
        fmt::format("{}: expected statistics of column {}, found none{}: they are those of the files' "
                    "own columns",
                    path, column, SuggestName(column, names)));
  }

 private:
  Result<const LakeStats*> Read(const std::string& path) {
    constexpr int64_t kBytesMax = 256 << 20;
    const auto known = files_.find(path);
    if (known != files_.end()) return &known->second;
    WEIR_ASSIGN_OR_RETURN(const std::string json, ReadSideFile(path, kBytesMax));
    WEIR_ASSIGN_OR_RETURN(LakeStats stats, ParseLakeStats(path, json));
    return &files_.emplace(path, std::move(stats)).first->second;
  }

  std::map<std::string, LakeStats> files_;
};

// The value at q, between the points on either side of it.
double ValueAt(const ColumnStats& stats, double q) {
  const auto& points = stats.quantiles();
  const auto above = std::find_if(points.begin(), points.end(), [&](const auto& point) { return point.q() >= q; });
  if (above == points.begin()) return above->value();
  if (above == points.end()) return points.rbegin()->value();
  const auto below = above - 1;
  const double share = (q - below->q()) / (above->q() - below->q());
  return below->value() + share * (above->value() - below->value());
}

Status CheckQuantiles(const ColumnStats& stats, const std::string& path) {
  bool sound = stats.quantiles_size() >= 2;
  for (int i = 0; i < stats.quantiles_size(); ++i) {
    const QuantileStats& point = stats.quantiles(i);
    sound &= point.has_value() && std::isfinite(point.value());
    if (i > 0) sound &= point.q() > stats.quantiles(i - 1).q() && point.value() >= stats.quantiles(i - 1).value();
  }
  if (sound) return Status();
  return InvalidArgument(fmt::format("{}: column {}: expected ascending quantiles, found {}", path, stats.name(),
                                     stats.quantiles_size() < 2 ? "none" : "others"));
}

template <typename Config>
Status FitBoundaries(const std::string& column, StatsFiles* files, Config* config) {
  if (!config->has_quantiles()) return Status();
  const QuantilesConfig quantiles = config->quantiles();
  WEIR_ASSIGN_OR_RETURN(const ColumnStats* stats, files->Find(quantiles.stats_file(), column));
  WEIR_RETURN_IF_ERROR(CheckQuantiles(*stats, quantiles.stats_file()));
  config->clear_quantiles();
  // A boundary at the smallest value would have nothing below it.
  double last = stats->min();
  for (int i = 1; i < quantiles.buckets(); ++i) {
    const double boundary = ValueAt(*stats, static_cast<double>(i) / quantiles.buckets());
    if (boundary > last) config->add_boundaries(last = boundary);
  }
  // Nearly all values are the smallest one.
  if (config->boundaries().empty()) config->add_boundaries(stats->max());
  return Status();
}

// What NumericColumn does before it standardises.
double BeforeScaling(const NumericConfig& config, double x) {
  ClipTransform clip;
  if (config.has_clip_min()) clip.low = config.clip_min();
  if (config.has_clip_max()) clip.high = config.clip_max();
  x = clip(x);
  return config.log() ? LogTransform()(x) : x;
}

// Mean and standard deviation after clip and log, where values lie evenly between quantiles.
Status FitStandardByQuantiles(const NumericConfig& config, const ColumnStats& stats, StandardConfig* standard) {
  double mean = 0, square = 0;
  for (const bool squares : {false, true}) {
    for (int i = 1; i < stats.quantiles_size(); ++i) {
      const double a = BeforeScaling(config, stats.quantiles(i - 1).value());
      const double b = BeforeScaling(config, stats.quantiles(i).value());
      const double share = stats.quantiles(i).q() - stats.quantiles(i - 1).q();
      if (squares) {
        const double c = a - mean, d = b - mean;
        square += share * (c * c + c * d + d * d) / 3;
      } else {
        mean += share * (a + b) / 2;
      }
    }
  }
  standard->set_mean(mean);
  standard->set_stddev(std::sqrt(square));
  return Status();
}

Status FitStandard(const FeatureConfig& feature, StatsFiles* files, NumericConfig* config) {
  StandardConfig* standard = config->mutable_standard();
  WEIR_ASSIGN_OR_RETURN(const ColumnStats* stats, files->Find(standard->stats_file(), feature.column()));
  if (config->has_clip_min() || config->has_clip_max() || config->log()) {
    WEIR_RETURN_IF_ERROR(CheckQuantiles(*stats, standard->stats_file()));
    WEIR_RETURN_IF_ERROR(FitStandardByQuantiles(*config, *stats, standard));
  } else {
    standard->set_mean(stats->mean());
    standard->set_stddev(stats->stddev());
  }
  if (!std::isfinite(standard->mean()) || !std::isfinite(standard->stddev()) || !(standard->stddev() > 0)) {
    return InvalidArgument(
        fmt::format("{}: column {}: expected a mean and a standard deviation above 0, found {} and {}",
                    standard->stats_file(), feature.column(), standard->mean(), standard->stddev()));
  }
  standard->clear_stats_file();
  return Status();
}

Status FitMinMax(const FeatureConfig& feature, StatsFiles* files, NumericConfig* config) {
  MinMaxConfig* min_max = config->mutable_min_max();
  WEIR_ASSIGN_OR_RETURN(const ColumnStats* stats, files->Find(min_max->stats_file(), feature.column()));
  min_max->set_min(BeforeScaling(*config, stats->min()));
  min_max->set_max(BeforeScaling(*config, stats->max()));
  if (!(min_max->max() > min_max->min()) || !std::isfinite(min_max->max() - min_max->min())) {
    return InvalidArgument(fmt::format("{}: column {}: expected different numbers after clip, found {} and {}",
                                       min_max->stats_file(), feature.column(), min_max->min(), min_max->max()));
  }
  min_max->clear_stats_file();
  return Status();
}

Status FitFeature(StatsFiles* files, FeatureConfig* feature) {
  if (feature->has_sparse()) return FitBoundaries(feature->column(), files, feature->mutable_sparse());
  if (!feature->has_numeric()) return Status();
  NumericConfig* numeric = feature->mutable_numeric();
  if (numeric->standard().has_stats_file()) WEIR_RETURN_IF_ERROR(FitStandard(*feature, files, numeric));
  if (numeric->min_max().has_stats_file()) WEIR_RETURN_IF_ERROR(FitMinMax(*feature, files, numeric));
  return Status();
}

Status FitVocabulary(VocabularyConfig* vocabulary) {
  if (!vocabulary->has_path() || vocabulary->has_file()) return Status();
  WEIR_ASSIGN_OR_RETURN(*vocabulary->mutable_file(), SideFiles::Digest(vocabulary->path()));
  if (vocabulary->file().bytes() > kVocabularyBytesInJob) return Status();
  WEIR_ASSIGN_OR_RETURN(const std::string text, ReadSideFile(vocabulary->path(), kVocabularyBytesInJob));
  WEIR_ASSIGN_OR_RETURN(const std::vector<std::string> lines, SplitLines(vocabulary->path(), text));
  vocabulary->mutable_values()->Assign(lines.begin(), lines.end());
  vocabulary->clear_path();
  vocabulary->clear_file();
  return Status();
}

Status FitColumn(StatsFiles* files, ColumnConfig* column) {
  if (column->has_vocabulary()) return FitVocabulary(column->mutable_vocabulary());
  if (column->has_bucketize()) return FitBoundaries(column->from(0), files, column->mutable_bucketize());
  if (column->has_lookup() && !column->lookup().has_file()) {
    WEIR_ASSIGN_OR_RETURN(*column->mutable_lookup()->mutable_file(), SideFiles::Digest(column->lookup().uri()));
  }
  return Status();
}

}  // namespace

Result<LakeStats> ParseLakeStats(const std::string& name, const std::string& json) {
  google::protobuf::util::JsonParseOptions options;
  options.ignore_unknown_fields = true;
  LakeStats stats;
  const auto status = google::protobuf::util::JsonStringToMessage(json, &stats, options);
  if (status.ok() && stats.format() == "weir.stats" && stats.version() == 1) return stats;
  return InvalidArgument(fmt::format("{}: expected what `weir stats --json` writes, version 1, found {}", name,
                                     !status.ok()                     ? std::string(status.message())
                                     : stats.format() == "weir.stats" ? fmt::format("version {}", stats.version())
                                                                      : "another file of JSON"));
}

Status FitTransforms(Job* job) {
  StatsFiles files;
  for (FeatureConfig& feature : *job->mutable_features()) {
    WEIR_RETURN_IF_ERROR(FitFeature(&files, &feature).Wrap(fmt::format("feature {}", feature.name())));
  }
  for (ColumnConfig& column : *job->mutable_columns()) {
    WEIR_RETURN_IF_ERROR(FitColumn(&files, &column).Wrap(fmt::format("column {}", column.name())));
  }
  return Status();
}

}  // namespace weir
