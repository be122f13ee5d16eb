// Elements: the single values of a column, whether it holds one a row or lists of them: what a transform works on.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include <arrow/type_fwd.h>

#include "base/status.h"
#include "data_loader/columns/cells.h"
#include "data_loader/transforms/transform.h"

namespace weir {

class Elements {
 public:
  // Opens lists and resolves dictionaries.
  static Result<Elements> Of(const std::shared_ptr<arrow::Array>& column);

  // All elements, end to end: plain values, neither lists nor a dictionary.
  const arrow::Array& values() const { return *values_; }
  int64_t size() const;
  bool are_lists() const { return !bounds_.empty(); }
  int64_t num_rows() const;
  bool row_is_null(int64_t row) const;
  // The elements of a row are [begin(row), begin(row + 1)); those of a null row mean nothing.
  int64_t begin(int64_t row) const { return are_lists() ? bounds_[row] : row; }

  // Reports a fault of each element that is kBad, unless its row is null, and makes it kMissing.
  void ReportBad(const std::string& column, const std::string& reason, const RowFaults& faults,
                 std::vector<Cell>* cells) const;

  // values: one for each element. A column of the same form: single values as they are, lists as large lists.
  Result<std::shared_ptr<arrow::Array>> Rebuild(std::shared_ptr<arrow::Array> values) const;

 private:
  std::shared_ptr<arrow::Array> column_;
  std::shared_ptr<arrow::Array> values_;
  std::vector<int64_t> bounds_;  // [rows + 1]; empty without lists
};

// `array` without its dictionary.
Result<std::shared_ptr<arrow::Array>> WithoutDictionary(const std::shared_ptr<arrow::Array>& array);

// Of a column of elements of that type that is formed like `column`: the type of what Rebuild returns.
std::shared_ptr<arrow::DataType> RebuiltType(const arrow::DataType& column, std::shared_ptr<arrow::DataType> element);

// The value of each cell, null where it has none. values and cells are of one length.
Result<std::shared_ptr<arrow::Array>> IntegerArray(const std::vector<int64_t>& values, const std::vector<Cell>& cells);
Result<std::shared_ptr<arrow::Array>> UnsignedArray(const std::vector<uint64_t>& values,
                                                    const std::vector<Cell>& cells);
Result<std::shared_ptr<arrow::Array>> DoubleArray(const std::vector<double>& values, const std::vector<Cell>& cells);

// As large lists, those of row i at [bounds[i], bounds[i+1]); null where `missing` says so.
Result<std::shared_ptr<arrow::Array>> ListArray(const std::vector<int64_t>& bounds,
                                                const std::shared_ptr<arrow::Array>& values,
                                                const std::vector<bool>& missing);

}  // namespace weir
