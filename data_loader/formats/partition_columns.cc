#include "data_loader/formats/partition_columns.h"

#include <algorithm>
#include <string>
#include <utility>
#include <vector>

#include <arrow/array.h>
#include <arrow/array/util.h>
#include <arrow/record_batch.h>
#include <arrow/scalar.h>
#include <arrow/type.h>

#include "data_loader/lake/arrow_status.h"
#include "data_loader/lake/decode_memory.h"

namespace weir {
namespace {

// The value `rows` times.
Result<std::shared_ptr<arrow::Array>> Repeat(const PartitionValue& partition, int64_t rows, const std::string& path) {
  if (!partition.value) return FromArrow(arrow::MakeArrayOfNull(arrow::utf8(), rows, DecodeMemory()), path);
  return FromArrow(arrow::MakeArrayFromScalar(arrow::StringScalar(*partition.value), rows, DecodeMemory()), path);
}

// The rows of `rows` with the partitions' columns behind; without a reader (no column of the file is asked for) as many
// rows of these alone.
class PartitionRowReader : public RowReader {
 public:
  PartitionRowReader(std::string path, std::unique_ptr<RowReader> rows, std::vector<PartitionValue> partitions,
                     int64_t rows_left, int64_t batch_rows)
      : path_(std::move(path)),
        rows_(std::move(rows)),
        partitions_(std::move(partitions)),
        rows_left_(rows_left),
        batch_rows_(batch_rows) {}

  void AcceptDictionaries(const std::vector<std::string>& columns) override {
    if (rows_ != nullptr) rows_->AcceptDictionaries(columns);
  }

  Result<std::shared_ptr<arrow::RecordBatch>> Next() override {
    std::shared_ptr<arrow::RecordBatch> batch;
    arrow::FieldVector fields;
    arrow::ArrayVector columns;
    int64_t rows = std::min(rows_left_, batch_rows_);
    if (rows_ != nullptr) {
      WEIR_ASSIGN_OR_RETURN(batch, rows_->Next());
      if (batch == nullptr) return batch;
      rows = batch->num_rows();
      fields = batch->schema()->fields();
      columns = batch->columns();
    } else if (rows == 0) {
      return batch;
    }
    rows_left_ -= rows;
    for (const PartitionValue& partition : partitions_) {
      WEIR_ASSIGN_OR_RETURN(auto column, Repeat(partition, rows, path_));
      fields.push_back(AsText(arrow::field(partition.column, arrow::utf8())));
      columns.push_back(std::move(column));
    }
    return arrow::RecordBatch::Make(arrow::schema(std::move(fields)), rows, std::move(columns));
  }

 private:
  const std::string path_;
  const std::unique_ptr<RowReader> rows_;
  const std::vector<PartitionValue> partitions_;
  int64_t rows_left_;
  const int64_t batch_rows_;
};

class PartitionedFile : public LakeFile {
 public:
  static Result<std::unique_ptr<LakeFile>> Make(std::unique_ptr<LakeFile> file) {
    std::unique_ptr<PartitionedFile> made(new PartitionedFile(file->entry()));
    arrow::FieldVector fields;
    for (const auto& field : file->schema()->fields()) {
      if (made->Find(field->name()) == nullptr) fields.push_back(field);
    }
    for (const PartitionValue& partition : file->entry().partitions) {
      fields.push_back(AsText(arrow::field(partition.column, arrow::utf8())));
    }
    WEIR_RETURN_IF_ERROR(
        made->SetContents(arrow::schema(std::move(fields), file->schema()->metadata()), file->row_groups()));
    made->file_ = std::move(file);
    return std::unique_ptr<LakeFile>(std::move(made));
  }

  Result<std::unique_ptr<RowReader>> Read(int group, int64_t begin, int64_t end,
                                          const std::vector<std::string>& columns, int64_t batch_rows) const override {
    std::vector<std::string> own;
    std::vector<PartitionValue> partitions;
    for (const std::string& column : columns) {
      if (const PartitionValue* partition = Find(column)) {
        partitions.push_back(*partition);
      } else {
        own.push_back(column);
      }
    }
    if (partitions.empty()) return file_->Read(group, begin, end, columns, batch_rows);
    std::unique_ptr<RowReader> rows;
    if (!own.empty()) {
      WEIR_ASSIGN_OR_RETURN(rows, file_->Read(group, begin, end, own, batch_rows));
    }
    return std::unique_ptr<RowReader>(
        std::make_unique<PartitionRowReader>(path(), std::move(rows), std::move(partitions), end - begin, batch_rows));
  }

 private:
  explicit PartitionedFile(const LakeEntry& entry) : LakeFile(entry) {}

  const PartitionValue* Find(const std::string& column) const {
    const std::vector<PartitionValue>& partitions = entry().partitions;
    const auto found = std::find_if(partitions.begin(), partitions.end(),
                                    [&](const PartitionValue& partition) { return partition.column == column; });
    return found == partitions.end() ? nullptr : &*found;
  }

  std::unique_ptr<LakeFile> file_;
};

}  // namespace

Result<std::unique_ptr<LakeFile>> WithPartitionColumns(std::unique_ptr<LakeFile> file) {
  if (file->entry().partitions.empty()) return file;
  return PartitionedFile::Make(std::move(file));
}

}  // namespace weir
