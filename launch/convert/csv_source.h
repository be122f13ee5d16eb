// CsvSource: CSV text, as the loader reads it, as columns with types.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "launch/convert/record_source.h"
#include "launch/lake_rows.h"
#include "proto/job.pb.h"

namespace weir {

class CsvSource : public RecordSource {
 public:
  // types: of columns, by name: "int64", "uint64", "double" or "string". All others are the narrowest of these that
  // holds every value (TextType), which costs a pass over the files. InvalidArgument for another type or an unknown
  // column.
  static Result<std::unique_ptr<CsvSource>> Open(const DataConfig& config, const SourceConfig& source,
                                                 const std::map<std::string, std::string>& types);

  const std::shared_ptr<arrow::Schema>& schema() const override { return schema_; }
  // InvalidArgument names the file, row and column of a value that is not of the declared type.
  Result<std::shared_ptr<arrow::RecordBatch>> Next() override;
  double share() const override;

 private:
  explicit CsvSource(LakeFiles files);

  const LakeFiles files_;
  std::shared_ptr<arrow::Schema> schema_;
  LakeRows rows_;
  int64_t rows_all_ = 0;
  int64_t rows_done_ = 0;
};

}  // namespace weir
