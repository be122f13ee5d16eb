#include "data_loader/formats/parquet_file.h"

#include <algorithm>

#include <arrow/io/interfaces.h>
#include <arrow/record_batch.h>
#include <arrow/type.h>
#include <fmt/format.h>
#include <parquet/arrow/reader.h>
#include <parquet/exception.h>
#include <parquet/file_reader.h>
#include <parquet/metadata.h>
#include <parquet/properties.h>
#include <parquet/schema.h>

#include "data_loader/formats/parquet_page_skip.h"
#include "data_loader/formats/parquet_status.h"
#include "data_loader/lake/arrow_status.h"
#include "data_loader/lake/decode_memory.h"

namespace weir {
namespace {

// Read from the file at a time, for each column of each stream.
constexpr int64_t kColumnBufferBytes = 32 << 10;
// The same where each read is a request over a network; never more than the column has in the row group.
constexpr int64_t kRemoteColumnBufferBytes = 1 << 20;
constexpr int kKeepFooterGroups = 64;

parquet::ReaderProperties Properties(bool is_remote) {
  parquet::ReaderProperties properties(DecodeMemory());
  properties.set_page_checksum_verification(true);
  properties.enable_buffered_stream();
  properties.set_buffer_size(is_remote ? kRemoteColumnBufferBytes : kColumnBufferBytes);
  return properties;
}

// Throws what Parquet throws.
Result<std::unique_ptr<parquet::ParquetFileReader>> OpenFile(const LakeEntry& entry,
                                                             std::shared_ptr<parquet::FileMetaData> footer) {
  WEIR_ASSIGN_OR_RETURN(auto file, OpenEntry(entry));
  return parquet::ParquetFileReader::Open(std::move(file), Properties(entry.is_remote()), std::move(footer));
}

Result<std::unique_ptr<parquet::arrow::FileReader>> ArrowReader(const std::string& path,
                                                                std::unique_ptr<parquet::ParquetFileReader> file,
                                                                int64_t batch_rows) {
  parquet::ArrowReaderProperties properties(/*use_threads=*/false);
  properties.set_pre_buffer(false);
  properties.set_batch_size(batch_rows);
  return FromArrow(parquet::arrow::FileReader::Make(DecodeMemory(), std::move(file), properties), path);
}

// The leaf columns below the named ones.
std::vector<int> LeafColumns(const parquet::FileMetaData& footer, const std::vector<std::string>& columns) {
  std::vector<int> leaves;
  const parquet::SchemaDescriptor* schema = footer.schema();
  for (int leaf = 0; leaf < schema->num_columns(); ++leaf) {
    const std::string& name = schema->GetColumnRoot(leaf)->name();
    if (std::find(columns.begin(), columns.end(), name) != columns.end()) leaves.push_back(leaf);
  }
  return leaves;
}

class ParquetRowReader : public RowReader {
 public:
  ParquetRowReader(std::string path, int group, int64_t begin, int64_t end,
                   std::unique_ptr<parquet::arrow::FileReader> file, std::unique_ptr<arrow::RecordBatchReader> rows)
      : path_(std::move(path)),
        group_(group),
        begin_(begin),
        end_(end),
        file_(std::move(file)),
        rows_(std::move(rows)) {}

  Result<std::shared_ptr<arrow::RecordBatch>> Next() override {
    std::shared_ptr<arrow::RecordBatch> batch;
    while (row_ < end_) {
      // The reader throws on some torn pages.
      try {
        WEIR_RETURN_IF_ERROR(FromArrow(rows_->ReadNext(&batch), Place()));
      } catch (const std::exception& error) {
        return FromParquet(error, Place());
      }
      if (batch == nullptr) {
        return DataLoss(fmt::format("{}: expected {} rows or more, found {}", Place(), end_, row_));
      }
      int64_t first = row_;
      row_ += batch->num_rows();
      if (row_ <= begin_) continue;
      int64_t from = std::max(begin_ - first, int64_t{0});
      int64_t to = std::min(end_ - first, batch->num_rows());
      if (from == 0 && to == batch->num_rows()) return batch;
      return batch->Slice(from, to - from);
    }
    return std::shared_ptr<arrow::RecordBatch>();
  }

 private:
  std::string Place() const { return fmt::format("{}: row group {}, rows from {}", path_, group_, row_); }

  const std::string path_;
  const int group_;
  const int64_t begin_;
  const int64_t end_;
  int64_t row_ = 0;  // of the group: the next to be read
  std::unique_ptr<parquet::arrow::FileReader> file_;
  std::unique_ptr<arrow::RecordBatchReader> rows_;
};

}  // namespace

Result<std::unique_ptr<LakeFile>> ParquetFile::Open(const LakeEntry& entry) {
  std::unique_ptr<ParquetFile> opened(new ParquetFile(entry));
  try {
    WEIR_ASSIGN_OR_RETURN(auto file, OpenFile(entry, nullptr));
    WEIR_ASSIGN_OR_RETURN(auto reader, ArrowReader(entry.path, std::move(file), /*batch_rows=*/1));
    std::shared_ptr<arrow::Schema> schema;
    WEIR_RETURN_IF_ERROR(FromArrow(reader->GetSchema(&schema), entry.path));
    std::shared_ptr<parquet::FileMetaData> footer = reader->parquet_reader()->metadata();
    std::vector<RowGroup> groups;
    for (int g = 0; g < footer->num_row_groups(); ++g) {
      groups.push_back({footer->RowGroup(g)->num_rows()});
    }
    if (entry.is_remote() || footer->num_row_groups() > kKeepFooterGroups) opened->footer_ = footer;
    WEIR_RETURN_IF_ERROR(opened->SetContents(std::move(schema), std::move(groups)));
  } catch (const std::exception& error) {
    return FromParquet(error, entry.path);
  }
  return std::unique_ptr<LakeFile>(std::move(opened));
}

Result<std::unique_ptr<RowReader>> ParquetFile::Read(int group, int64_t begin, int64_t end,
                                                     const std::vector<std::string>& columns,
                                                     int64_t batch_rows) const {
  try {
    WEIR_ASSIGN_OR_RETURN(auto file, OpenFile(entry(), footer_));
    std::shared_ptr<parquet::FileMetaData> footer = file->metadata();
    if (group >= footer->num_row_groups() || footer->RowGroup(group)->num_rows() != row_groups()[group].rows) {
      return DataLoss(
          fmt::format("{}: the file was changed while it was read: row group {} is not the one it had", path(), group));
    }
    std::vector<int> leaves = LeafColumns(*footer, columns);
    if (begin > 0 && CanSkipPages(*footer, leaves)) {
      return ReadFromMiddle(path(), std::move(file), group, begin, end, leaves, batch_rows);
    }
    WEIR_ASSIGN_OR_RETURN(auto reader, ArrowReader(path(), std::move(file), batch_rows));
    WEIR_ASSIGN_OR_RETURN(auto rows, FromArrow(reader->GetRecordBatchReader({group}, leaves), path()));
    return std::unique_ptr<RowReader>(
        std::make_unique<ParquetRowReader>(path(), group, begin, end, std::move(reader), std::move(rows)));
  } catch (const std::exception& error) {
    return FromParquet(error, path());
  }
}

}  // namespace weir
