// DerivedColumns: the columns of Job.columns that somebody reads, made of those in a file.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include <arrow/type_fwd.h>

#include "base/status.h"
#include "data_loader/columns/bad_rows.h"
#include "data_loader/transforms/side_files.h"
#include "data_loader/transforms/transform.h"
#include "proto/job.pb.h"

namespace weir {

// Immutable, and thread-safe, once all columns have been asked for.
class DerivedColumns {
 public:
  // Finds a column of the file by its name.
  using FindColumn = std::function<Result<const arrow::Field*>(const std::string&)>;

  // files: null for some of its own.
  DerivedColumns(const Job& job, SideFiles* files);

  // Whether the job has a column of that name.
  bool Has(const std::string& name) const { return places_.count(name) > 0; }
  // Adds the column, which it has, and those that it is made of. The field says whether it is text (IsText).
  Result<const arrow::Field*> Add(const std::string& name, const arrow::Schema& schema, const FindColumn& find);
  // OK when the columns of both hash the same kinds of values, so that they come out alike.
  Status CheckAgrees(const DerivedColumns& other) const;
  bool empty() const { return added_.empty(); }
  // Whether an added column is made of this one.
  bool Reads(const std::string& column) const;

  // The same rows with the columns added behind the others. What cannot be made is null, and its row appended to *bad;
  // rows in *bad count from first_row.
  Result<std::shared_ptr<arrow::RecordBatch>> AppendTo(const arrow::RecordBatch& rows, int64_t first_row,
                                                       std::vector<BadRow>* bad) const;

 private:
  struct Column {
    std::shared_ptr<arrow::Field> field;
    std::vector<std::string> from;
    std::unique_ptr<ColumnTransform> transform;
  };

  Result<const arrow::Field*> AddAt(int place, const arrow::Schema& schema, const FindColumn& find);

  std::vector<ColumnConfig> configs_;
  std::map<std::string, int> places_;  // by name, in configs_
  std::unique_ptr<SideFiles> own_files_;
  SideFiles* files_;
  std::vector<Column> added_;            // each behind those that it is made of
  std::map<std::string, int> added_at_;  // by name, in added_
};

}  // namespace weir
