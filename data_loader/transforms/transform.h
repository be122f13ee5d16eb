// ColumnTransform: makes a column of others, before features are read from it. Every one stands in a file of its own
// and is registered under the name of its field in ColumnConfig, where job.proto declares its version; test vectors
// hold it to that version.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include <arrow/type_fwd.h>

#include "base/status.h"
#include "data_loader/columns/bad_rows.h"
#include "proto/job.pb.h"

namespace weir {

class SideFiles;

struct ColumnType {
  std::shared_ptr<arrow::DataType> type;
  bool text = false;  // of a text format: strings that may stand for numbers
};

// The rows that are found to be bad while a column is made.
struct RowFaults {
  int64_t first_row = 0;  // what the rows of *bad count from
  std::vector<BadRow>* bad = nullptr;

  // The value in row i of the array `values` of that column, which may lie in row `row` of a column of lists.
  void Add(const std::string& column, int64_t row, const std::string& reason, const arrow::Array& values,
           int64_t i) const;
};

using ArrayList = std::vector<std::shared_ptr<arrow::Array>>;

// Immutable; thread-safe.
class ColumnTransform {
 public:
  virtual ~ColumnTransform() = default;

  // Of the column made.
  const ColumnType& type() const { return type_; }

  // "integers" or "strings" for each column whose values it hashes, in the order of `from`; none where it hashes none.
  // Two files of a source must agree.
  virtual std::vector<std::string> HashedKinds() const { return {}; }

  // inputs: the columns of ColumnConfig.from, in order, of the types it was made for and of one length. The column made
  // has that length too; where a value is missing or bad (then reported in `faults`), there is a null.
  virtual Result<std::shared_ptr<arrow::Array>> Apply(const ArrayList& inputs, const RowFaults& faults) const = 0;

 protected:
  ColumnTransform(const ColumnConfig& config, ColumnType type)
      : from_(config.from().begin(), config.from().end()), type_(std::move(type)) {}

  const std::vector<std::string> from_;
  const ColumnType type_;
};

// What a transform is made from.
struct TransformSource {
  const ColumnConfig& config;     // resolved and fitted (fit.h)
  std::vector<ColumnType> types;  // of config.from
  SideFiles* files = nullptr;     // reads what other files the transform needs
};

// InvalidArgument for columns of types that it does not take, for numbers that were not fitted yet and for other files
// that are not what they were; what reading them says.
Result<std::unique_ptr<ColumnTransform>> MakeTransform(const TransformSource& source);

// The names of all transforms, sorted.
std::vector<std::string> TransformNames();

// One each in the file of that name.
Result<std::unique_ptr<ColumnTransform>> MakeBucketize(const TransformSource& source);
Result<std::unique_ptr<ColumnTransform>> MakeCross(const TransformSource& source);
Result<std::unique_ptr<ColumnTransform>> MakeLag(const TransformSource& source);
Result<std::unique_ptr<ColumnTransform>> MakeLookup(const TransformSource& source);
Result<std::unique_ptr<ColumnTransform>> MakeSplit(const TransformSource& source);
Result<std::unique_ptr<ColumnTransform>> MakeTime(const TransformSource& source);
Result<std::unique_ptr<ColumnTransform>> MakeVocabulary(const TransformSource& source);

// "integers" or "strings".
std::string KindOf(const arrow::DataType& element);

// For factories: that column f of config.from is of a type the transform does not take.
Status RefuseType(const TransformSource& source, int f, const std::string& expected);

}  // namespace weir
