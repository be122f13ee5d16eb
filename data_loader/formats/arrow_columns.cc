#include "data_loader/formats/arrow_columns.h"

#include <algorithm>
#include <utility>
#include <vector>

#include <arrow/api.h>
#include <fmt/format.h>
#include <parquet/arrow/reader.h>
#include <parquet/column_reader.h>
#include <parquet/file_reader.h>
#include <parquet/metadata.h>
#include <parquet/properties.h>
#include <parquet/schema.h>

#include "data_loader/lake/arrow_status.h"
#include "data_loader/lake/decode_memory.h"

namespace weir {
namespace {

// What is left to pass over of one column: whole pages first, the rest row by row.
struct ColumnSkip {
  int64_t rows = 0;
  bool pages_done = false;
};

// Whether a page's values are rows.
bool IsFlat(const parquet::ColumnDescriptor& column) {
  return column.max_repetition_level() == 0 && column.path()->ToDotVector().size() == 1;
}

// A row group whose page readers pass over the pages that lie wholly before the start.
class SkippingRowGroup : public parquet::RowGroupReader::Contents {
 public:
  SkippingRowGroup(std::shared_ptr<parquet::RowGroupReader> group, const parquet::ReaderProperties& properties,
                   std::vector<ColumnSkip>* skips)
      : group_(std::move(group)), properties_(properties), skips_(skips) {}

  std::unique_ptr<parquet::PageReader> GetColumnPageReader(int leaf) override {
    std::unique_ptr<parquet::PageReader> pages = group_->GetColumnPageReader(leaf);
    if (!IsFlat(*group_->metadata()->schema()->Column(leaf))) return pages;
    pages->set_data_page_filter([skip = &(*skips_)[leaf]](const parquet::DataPageStats& page) {
      skip->pages_done = skip->pages_done || page.num_values < 0 || page.num_values > skip->rows;
      if (skip->pages_done) return false;
      skip->rows -= page.num_values;
      return true;
    });
    return pages;
  }
  const parquet::RowGroupMetaData* metadata() const override { return group_->metadata(); }
  const parquet::ReaderProperties* properties() const override { return &properties_; }

 private:
  const std::shared_ptr<parquet::RowGroupReader> group_;
  const parquet::ReaderProperties properties_;
  std::vector<ColumnSkip>* const skips_;
};

// A file that consists of one such row group.
class SkippingFile : public parquet::ParquetFileReader::Contents {
 public:
  SkippingFile(std::shared_ptr<parquet::ParquetFileReader> file, int group, const parquet::ReaderProperties& properties,
               std::vector<ColumnSkip>* skips)
      : file_(std::move(file)),
        group_(group),
        properties_(properties),
        skips_(skips),
        footer_(file_->metadata()->Subset({group})) {}

  // The file is shared: who opened it closes it.
  void Close() override {}
  std::shared_ptr<parquet::RowGroupReader> GetRowGroup(int) override {
    return std::make_shared<parquet::RowGroupReader>(
        std::make_unique<SkippingRowGroup>(file_->RowGroup(group_), properties_, skips_));
  }
  std::shared_ptr<parquet::FileMetaData> metadata() const override { return footer_; }
  std::shared_ptr<parquet::PageIndexReader> GetPageIndexReader() override { return file_->GetPageIndexReader(); }
  parquet::BloomFilterReader& GetBloomFilterReader() override { return file_->GetBloomFilterReader(); }

 private:
  const std::shared_ptr<parquet::ParquetFileReader> file_;
  const int group_;
  const parquet::ReaderProperties properties_;
  std::vector<ColumnSkip>* const skips_;
  const std::shared_ptr<parquet::FileMetaData> footer_;
};

class ArrowColumn : public ParquetColumn {
 public:
  ArrowColumn(std::unique_ptr<parquet::arrow::ColumnReader> reader, ColumnSkip* skip)
      : reader_(std::move(reader)), skip_(skip) {}

  Result<std::shared_ptr<arrow::Array>> Read(int64_t rows) override {
    while (decoded_ == nullptr || skip_->rows > 0 || decoded_->length() < rows) {
      std::shared_ptr<arrow::ChunkedArray> more;
      // What pages are passed over shows once the first is read, so that `skip_` is looked at after it.
      WEIR_RETURN_IF_ERROR(FromArrow(reader_->NextBatch(rows, &more), "Arrow's reader"));
      if (more == nullptr || more->length() == 0) {
        return DataLoss(fmt::format("expected {} more rows, found none", rows));
      }
      const int64_t dropped = std::min(skip_->rows, more->length());
      skip_->rows -= dropped;
      skip_->pages_done = true;
      more = more->Slice(dropped);
      if (decoded_ != nullptr) {
        arrow::ArrayVector chunks = decoded_->chunks();
        chunks.insert(chunks.end(), more->chunks().begin(), more->chunks().end());
        more = std::make_shared<arrow::ChunkedArray>(std::move(chunks), decoded_->type());
      }
      decoded_ = std::move(more);
    }
    std::shared_ptr<arrow::ChunkedArray> taken = decoded_->Slice(0, rows);
    decoded_ = decoded_->Slice(rows);
    if (taken->num_chunks() == 1) return taken->chunk(0);
    return FromArrow(arrow::Concatenate(taken->chunks(), DecodeMemory()), "Arrow's reader");
  }

 private:
  const std::unique_ptr<parquet::arrow::ColumnReader> reader_;
  ColumnSkip* const skip_;
  std::shared_ptr<arrow::ChunkedArray> decoded_;  // but not yet handed out
};

}  // namespace

class ArrowColumns::Impl {
 public:
  Impl(std::shared_ptr<parquet::ParquetFileReader> file, int group, int64_t begin)
      : skips_(file->metadata()->num_columns(), ColumnSkip{begin}) {
    parquet::ReaderProperties properties(DecodeMemory());
    properties.set_page_checksum_verification(true);
    skipping_->Open(std::make_unique<SkippingFile>(std::move(file), group, properties, &skips_));
  }

  Result<std::unique_ptr<ParquetColumn>> Open(int field, int leaf) {
    if (reader_ == nullptr) {
      WEIR_ASSIGN_OR_RETURN(
          reader_, FromArrow(parquet::arrow::FileReader::Make(DecodeMemory(), std::move(skipping_)), "Arrow's reader"));
    }
    std::unique_ptr<parquet::arrow::ColumnReader> column;
    WEIR_RETURN_IF_ERROR(FromArrow(reader_->GetColumn(field, &column), "Arrow's reader"));
    return std::unique_ptr<ParquetColumn>(std::make_unique<ArrowColumn>(std::move(column), &skips_[leaf]));
  }

 private:
  std::vector<ColumnSkip> skips_;  // one per leaf column of the file; outlives the readers
  std::unique_ptr<parquet::ParquetFileReader> skipping_ = std::make_unique<parquet::ParquetFileReader>();
  std::unique_ptr<parquet::arrow::FileReader> reader_;
};

ArrowColumns::ArrowColumns(std::shared_ptr<parquet::ParquetFileReader> file, int group, int64_t begin)
    : impl_(std::make_unique<Impl>(std::move(file), group, begin)) {}

ArrowColumns::~ArrowColumns() = default;

Result<std::unique_ptr<ParquetColumn>> ArrowColumns::Open(int field, int leaf) { return impl_->Open(field, leaf); }

}  // namespace weir
