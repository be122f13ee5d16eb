// TfExampleSchema and TfExampleColumns: which columns the tf.Examples of a file have, and the columns of some of them.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include <arrow/type_fwd.h>

#include "base/status.h"
#include "data_loader/formats/tf_example.h"

namespace weir {

// More names than any data set has features: a file that has more is refused.
constexpr size_t kTfColumnsMax = 65536;

// What columns some examples have. One thread.
class TfExampleSchema {
 public:
  // list_columns: features that are lists, whatever the examples have.
  explicit TfExampleSchema(std::vector<std::string> list_columns) : list_columns_(std::move(list_columns)) {}

  // InvalidArgument where a feature has another kind than before, or there are too many.
  Status Add(std::string_view example);
  // Sorted by name.
  std::shared_ptr<arrow::Schema> Finish() const;

 private:
  struct Column {
    TfFeatureKind kind = TfFeatureKind::kNone;
    bool is_list = false;
  };

  const std::vector<std::string> list_columns_;
  std::map<std::string, Column, std::less<>> columns_;
  TfFeature feature_;
};

// Columns of a batch in the making. One thread.
class TfExampleColumns {
 public:
  // `schema` is a TfExampleSchema's, or some fields of one.
  explicit TfExampleColumns(std::shared_ptr<arrow::Schema> schema);
  ~TfExampleColumns();

  // Appends a row. InvalidArgument where the example does not fit the schema; the columns are of no use then.
  Status Add(std::string_view example);
  // The rows added since the last call.
  Result<std::shared_ptr<arrow::RecordBatch>> Finish();

 private:
  struct Column {
    TfFeatureKind kind = TfFeatureKind::kNone;
    std::unique_ptr<arrow::ArrayBuilder> builder;  // of values, or of lists of them
    bool is_list = false;
    bool found = false;  // in the example that is being added
    std::string_view feature;
  };

  Status Append(const std::string& name, Column* column);

  const std::shared_ptr<arrow::Schema> schema_;
  std::vector<Column> columns_;
  std::unordered_map<std::string_view, size_t> by_name_;  // into the schema's names
  int64_t rows_ = 0;
  TfFeature feature_;
};

}  // namespace weir
