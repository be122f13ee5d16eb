// ColumnStatistics: what the values of one column of a lake are like, from one pass in bounded memory.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include <arrow/type_fwd.h>

#include "base/heavy_hitters.h"
#include "base/hyper_log_log.h"
#include "base/quantile_sketch.h"
#include "base/status.h"
#include "data_loader/columns/cells.h"
#include "data_loader/columns/text_type.h"
#include "launch/lake_stats/key_counts.h"
#include "launch/lake_stats/moments.h"

namespace weir {

struct TopValue {
  enum class Kind { kInteger, kUnsigned, kFloating, kText };
  Kind kind = Kind::kText;
  uint64_t bits = 0;  // of a number
  std::string text;   // as people read it
  int64_t count = 0;  // never too low, at most `error` too high
  int64_t error = 0;
};

struct GrowthPoint {
  int64_t rows = 0;
  double distinct = 0;
};

// What ColumnStatistics found. Of a list column, all but rows, missing and lengths is of the elements.
struct ColumnSummary {
  std::string name;
  std::string type;  // Arrow's name, of text "integer", "number", "string" or "none" (no values)
  int64_t rows = 0;
  int64_t missing = 0;  // rows
  bool has_keys =
      false;  // whether the type is one whose values can be told apart here; else nothing follows but lengths
  double distinct = 0;
  std::vector<TopValue> top;
  int64_t top_error = 0;  // a value that has no counter came at most this often
  std::vector<GrowthPoint> growth;

  Moments numbers;  // of the finite ones; no values where the column holds none
  int64_t nan = 0, infinite = 0;
  std::vector<double> quantiles;  // at i / kQuantileParts; empty without numbers

  bool is_list = false;
  Moments lengths;  // of the lists that are not missing
  std::vector<double> length_quantiles;
};

// One thread. About 1 MB, more with long strings (at most 256 bytes of each value with a counter).
class ColumnStatistics {
 public:
  static constexpr int kQuantileParts = 1000;
  static constexpr int kTopValues = 20;
  // A value that came more often than 1 / kCounters of all is certain to be counted.
  static constexpr size_t kCounters = 4096;

  // text: whether numbers are to be parsed from strings, as in CSV.
  ColumnStatistics(std::shared_ptr<arrow::Field> field, bool text);

  // More rows of the column.
  Status Add(const std::shared_ptr<arrow::Array>& column);
  ColumnSummary Summarize() const;

 private:
  // How values are read.
  enum class Kind { kInteger, kUnsigned, kFloating, kBoolean, kString, kText, kOther };
  static Kind KindOf(const arrow::DataType& type, bool text);

  Status AddElements(std::shared_ptr<arrow::Array> elements);
  // The elements of the lists that are there; the lengths count of the outermost only.
  Status AddLists(const arrow::Array& column);
  Status AddChunk(const arrow::Array& values);
  Status ReadChunk(const arrow::Array& values);
  void AddKeys();
  bool HasNumbers() const;

  const std::shared_ptr<arrow::Field> field_;
  const Kind kind_;
  int64_t rows_ = 0, missing_ = 0;
  int64_t next_growth_rows_;
  HyperLogLog distinct_;
  HeavyHitters top_;
  std::vector<std::string> top_texts_;  // [counters], of strings
  std::vector<GrowthPoint> growth_;
  TextType text_type_;
  Moments moments_, length_moments_;
  int64_t nan_ = 0, infinite_ = 0;
  QuantileSketch numbers_, lengths_;

  // The chunk under way: [KeyCounts::kValuesMax] each.
  std::vector<Cell> cells_;
  std::vector<uint64_t> keys_;
  std::vector<double> values_;
  std::vector<std::string_view> views_;
  KeyCounts counts_;
};

}  // namespace weir
