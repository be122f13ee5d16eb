#include "data_loader/formats/parquet_file.h"

#include <algorithm>

#include <arrow/io/interfaces.h>
#include <arrow/record_batch.h>
#include <arrow/type.h>
#include <fmt/format.h>
#include <parquet/arrow/schema.h>
#include <parquet/exception.h>
#include <parquet/file_reader.h>
#include <parquet/metadata.h>
#include <parquet/properties.h>
#include <parquet/schema.h>

#include "data_loader/formats/parquet_rows.h"
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
Result<OpenParquet> OpenFile(const LakeEntry& entry, std::shared_ptr<parquet::FileMetaData> footer) {
  WEIR_ASSIGN_OR_RETURN(auto bytes, OpenEntry(entry));
  OpenParquet file = {entry.path, std::move(bytes), Properties(entry.is_remote()), nullptr};
  file.reader = parquet::ParquetFileReader::Open(file.bytes, file.properties, std::move(footer));
  return file;
}

}  // namespace

Result<std::unique_ptr<LakeFile>> ParquetFile::Open(const LakeEntry& entry) {
  std::unique_ptr<ParquetFile> opened(new ParquetFile(entry));
  try {
    WEIR_ASSIGN_OR_RETURN(auto file, OpenFile(entry, nullptr));
    const std::shared_ptr<parquet::FileMetaData> footer = file.reader->metadata();
    std::shared_ptr<arrow::Schema> schema;
    WEIR_RETURN_IF_ERROR(FromArrow(parquet::arrow::FromParquetSchema(footer->schema(), parquet::ArrowReaderProperties(),
                                                                     footer->key_value_metadata(), &schema),
                                   entry.path));
    std::vector<RowGroup> groups;
    for (int g = 0; g < footer->num_row_groups(); ++g) {
      groups.push_back({footer->RowGroup(g)->num_rows()});
    }
    if (entry.is_remote() || footer->num_row_groups() > kKeepFooterGroups) opened->footer_ = footer;
    WEIR_RETURN_IF_ERROR(opened->SetContents(WithoutMetadata(*schema), std::move(groups)));
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
    std::shared_ptr<parquet::FileMetaData> footer = file.reader->metadata();
    if (group >= footer->num_row_groups() || footer->RowGroup(group)->num_rows() != row_groups()[group].rows) {
      return DataLoss(
          fmt::format("{}: the file was changed while it was read: row group {} is not the one it had", path(), group));
    }
    return ReadParquetRows(std::move(file), group, begin, end, *schema(), columns, batch_rows);
  } catch (const std::exception& error) {
    return FromParquet(error, path());
  }
}

}  // namespace weir
