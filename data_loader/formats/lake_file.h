// LakeFile: one data file as a run of row groups, whatever its format.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include <arrow/type_fwd.h>

#include "base/status.h"
#include "data_loader/lake/lake.h"
#include "proto/job.pb.h"

namespace weir {

// Rows that are read together: a row group of Parquet, a record batch of Arrow, a run of lines or records.
struct RowGroup {
  int64_t rows = 0;
  int64_t offset_bytes = 0;  // of lines and records: where they begin in the (unpacked) file
  int64_t size_bytes = 0;    // of lines and records
};

// Rows of one row group, front to back. One thread; independent of the LakeFile's life.
class RowReader {
 public:
  virtual ~RowReader() = default;
  // From the next rows on the named columns may come as arrow::DictionaryArray of their type, where that is how they
  // are stored. Without it all columns come as the schema declares them.
  virtual void AcceptDictionaries(const std::vector<std::string>& /*columns*/) {}
  // The next rows, null after the last.
  virtual Result<std::shared_ptr<arrow::RecordBatch>> Next() = 0;
};

// Constant once opened, except for what Read() may cache: one thread. Errors name the path; bytes that are not what the
// format asks for are DataLoss (Parquet, Arrow, gzip, the framing of TFRecord) or InvalidArgument (text, tf.Example).
class LakeFile {
 public:
  virtual ~LakeFile() = default;

  // Reads the columns' names and types and the row groups, not the rows (text: counts the lines; TFRecord: reads the
  // first of them). The partitions of the entry are columns too (see partition_columns.h).
  static Result<std::unique_ptr<LakeFile>> Open(const LakeEntry& entry, const DataConfig& config);

  // Rows [begin, end) of a row group, in record batches of at most batch_rows; only the named columns are read. What
  // comes before `begin` is skipped as cheaply as the format allows.
  virtual Result<std::unique_ptr<RowReader>> Read(int group, int64_t begin, int64_t end,
                                                  const std::vector<std::string>& columns,
                                                  int64_t batch_rows) const = 0;

  const LakeEntry& entry() const { return entry_; }
  const std::string& path() const { return entry_.path; }
  // Columns of CSV files are utf8, trimmed, null where missing, and text (see IsText); so are partitions.
  const std::shared_ptr<arrow::Schema>& schema() const { return schema_; }
  const std::vector<RowGroup>& row_groups() const { return row_groups_; }
  // The row of the file with which each row group begins.
  const std::vector<int64_t>& first_rows() const { return first_rows_; }
  int64_t rows() const { return rows_; }

 protected:
  explicit LakeFile(const LakeEntry& entry) : entry_(entry) {}
  // DataLoss when the row counts, which may come from the file, are below 0 or more than 2^63-1 in all.
  Status SetContents(std::shared_ptr<arrow::Schema> schema, std::vector<RowGroup> groups);

 private:
  const LakeEntry entry_;
  std::shared_ptr<arrow::Schema> schema_;
  std::vector<RowGroup> row_groups_;
  std::vector<int64_t> first_rows_;
  int64_t rows_ = 0;
};

// The fields of `schema` that are named, in its order.
std::shared_ptr<arrow::Schema> NamedFields(const arrow::Schema& schema, const std::vector<std::string>& names);
// `schema` without what a file says besides names and types: it may hold anything, our marks too.
std::shared_ptr<arrow::Schema> WithoutMetadata(const arrow::Schema& schema);

// Whether a column is text without a type of its own (of CSV, or a partition's value), so that numbers are to be parsed
// from it.
bool IsText(const arrow::Field& field);
// The column marked as text.
std::shared_ptr<arrow::Field> AsText(const std::shared_ptr<arrow::Field>& field);
// All columns of `schema` marked as text.
std::shared_ptr<arrow::Schema> AsText(const std::shared_ptr<arrow::Schema>& schema);

}  // namespace weir
