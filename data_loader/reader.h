// OrderedReader: the rows of a source in the order of its files, with other columns beside the features': what
// prediction reads.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "base/status.h"
#include "data_loader/dataset.h"
#include "data_loader/row_stream.h"
#include "proto/job.pb.h"

namespace weir {

struct OrderedRows {
  // Consecutive rows of one file: the features' columns and the extra ones, to be found by name.
  std::shared_ptr<arrow::RecordBatch> rows;
  // For these rows: extractor->Extract(*rows, ...). Owned by the reader.
  const FeatureExtractor* extractor = nullptr;
  std::string path;
  int64_t first_row = 0;  // of the file
};

// One thread.
class OrderedReader {
 public:
  // Every file has the job's feature columns (and the label's, with_label) and the extra ones; extra columns have one
  // type in all files. Errors are those of Dataset::Open.
  static Result<std::unique_ptr<OrderedReader>> Open(const Job& job, const SourceConfig& source, bool with_label,
                                                     const std::vector<std::string>& extra_columns);

  // The next rows, 1 to rows_max; false after the last.
  Result<bool> Next(int64_t rows_max, OrderedRows* out);

  int64_t rows() const { return dataset_->rows(); }
  // The extra columns, in the order asked for.
  const std::shared_ptr<arrow::Schema>& extra_schema() const { return extra_schema_; }

 private:
  OrderedReader(std::unique_ptr<Dataset> dataset, std::shared_ptr<arrow::Schema> extra_schema);

  const std::unique_ptr<Dataset> dataset_;
  const std::shared_ptr<arrow::Schema> extra_schema_;
  RowStream stream_;
};

}  // namespace weir
