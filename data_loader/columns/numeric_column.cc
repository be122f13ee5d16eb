#include "data_loader/columns/numeric_column.h"

#include <algorithm>
#include <bit>
#include <cmath>

#include <arrow/array.h>
#include <arrow/type.h>
#include <fmt/format.h>

#include "data_loader/columns/cells.h"

namespace weir {
namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();

}  // namespace

double LogTransform::operator()(double x) const {
  double size = std::fabs(x);
  // Above this, 1 + size keeps more digits than a float holds, and log is several times faster than log1p.
  double logarithm = size > 1e-4 ? std::log(1.0 + size) : std::log1p(size);
  return std::copysign(logarithm, x);
}

Result<NumericColumn> NumericColumn::Make(const FeatureConfig& feature, const arrow::DataType& type, bool text) {
  bool number = IsIntegerType(type) || IsFloatingType(type) || type.id() == arrow::Type::BOOL;
  if (!number && !(text && IsStringType(type))) {
    return InvalidArgument(fmt::format(
        "feature {}: column {}: a numeric feature expects int8..int64, uint8..uint64, float, double or bool, found {}",
        feature.name(), feature.column(), type.ToString()));
  }
  const NumericConfig& config = feature.numeric();
  NumericColumn made;
  made.column_ = feature.column();
  made.default_value_ = config.default_value();
  if (config.has_clip_min()) made.clip_.low = config.clip_min();
  if (config.has_clip_max()) made.clip_.high = config.clip_max();
  made.log_ = config.log();
  made.standardize_ = config.has_standard();
  made.standard_ = {config.standard().mean(), config.standard().stddev()};
  if (config.has_min_max()) made.min_max_ = {config.min_max().min(), config.min_max().max()};
  if (config.standard().has_stats_file() || config.min_max().has_stats_file()) {
    return InvalidArgument(fmt::format("feature {}: its stats_file was not read: it was not fitted", feature.name()));
  }
  return made;
}

// One stage after the other, in loops that vectorise.
void NumericColumn::TransformAll(std::span<double> values) const {
  const auto all = [&](const auto& transform) {
    for (double& x : values) x = transform(x);
  };
  if (clip_.low > -kInfinity || clip_.high < kInfinity) all(clip_);
  if (log_) all(LogTransform());
  if (standardize_) all(standard_);
  if (min_max_) all(*min_max_);
}

const float* NumericColumn::AsTheyAre(const arrow::Array& column) const {
  const bool transforms = clip_.low > -kInfinity || clip_.high < kInfinity || log_ || standardize_ || min_max_;
  if (transforms || column.type_id() != arrow::Type::FLOAT || column.null_count() > 0) return nullptr;
  return static_cast<const arrow::FloatArray&>(column).raw_values();
}

std::vector<bool> Interleave(std::span<const float* const> columns, std::span<const int64_t> places, int64_t rows,
                             float* out, int64_t stride) {
  // Rows whose places stay in the first cache while all columns pass.
  constexpr int64_t kBlock = 128;
  std::vector<uint32_t> largest(columns.size(), 0);
  for (int64_t begin = 0; begin < rows; begin += kBlock) {
    const int64_t n = std::min(kBlock, rows - begin);
    for (size_t c = 0; c < columns.size(); ++c) {
      const float* in = columns[c] + begin;
      float* to = out + begin * stride + places[c];
      for (int64_t i = 0; i < n; ++i) to[i * stride] = in[i];
      uint32_t most = largest[c];
      for (int64_t i = 0; i < n; ++i) most = std::max(most, std::bit_cast<uint32_t>(in[i]) << 1);
      largest[c] = most;
    }
  }
  // What is not finite has all bits of the exponent set.
  constexpr uint32_t kExponent = 0xff000000;
  std::vector<bool> finite;
  for (const uint32_t most : largest) finite.push_back(most < kExponent);
  return finite;
}

Status NumericColumn::Extract(const arrow::Array& column, float* out, int64_t stride, int64_t first_row,
                              std::vector<BadRow>* bad) const {
  WEIR_ASSIGN_OR_RETURN(NumberCells read, ReadNumbers(column, column_));
  auto& [values, cells] = read;
  const int64_t n = column.length();
  bool good = true;
  for (int64_t i = 0; i < n; ++i) {
    values[i] = cells[i] == Cell::kMissing ? default_value_ : values[i];
    good &= cells[i] != Cell::kBad && std::fabs(values[i]) < kInfinity;
  }
  TransformAll(values);
  for (int64_t i = 0; i < n; ++i) {
    const auto value = static_cast<float>(values[i]);
    good &= std::fabs(value) < std::numeric_limits<float>::infinity();
    out[i * stride] = value;
  }
  return good ? Status() : MarkBad(column, out, stride, first_row, bad);
}

Status NumericColumn::MarkBad(const arrow::Array& column, float* out, int64_t stride, int64_t first_row,
                              std::vector<BadRow>* bad) const {
  WEIR_ASSIGN_OR_RETURN(NumberCells read, ReadNumbers(column, column_));
  auto& [values, cells] = read;
  const int64_t n = column.length();
  double transformed = default_value_;
  TransformAll(std::span(&transformed, 1));
  const auto placed = static_cast<float>(transformed);
  for (int64_t i = 0; i < n; ++i) {
    const double raw = cells[i] == Cell::kMissing ? default_value_ : values[i];
    float* value = out + i * stride;
    if (cells[i] != Cell::kBad && std::isfinite(raw) && std::isfinite(*value)) continue;
    const char* reason = cells[i] == Cell::kBad ? "is no number"
                         : std::isnan(raw)      ? "is NaN"
                         : std::isinf(raw)      ? "is infinite"
                                                : "is too large for a float";
    bad->push_back({first_row + i, column_, reason, CellText(column, i)});
    *value = std::isfinite(placed) ? placed : 0;
  }
  return Status();
}

}  // namespace weir
