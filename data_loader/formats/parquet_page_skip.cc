#include "data_loader/formats/parquet_page_skip.h"

#include <algorithm>
#include <utility>

#include <arrow/api.h>
#include <fmt/format.h>
#include <parquet/arrow/reader.h>
#include <parquet/arrow/schema.h>
#include <parquet/column_reader.h>
#include <parquet/exception.h>
#include <parquet/file_reader.h>
#include <parquet/metadata.h>
#include <parquet/properties.h>
#include <parquet/schema.h>

#include "data_loader/formats/parquet_status.h"
#include "data_loader/lake/arrow_status.h"
#include "data_loader/lake/decode_memory.h"

namespace weir {
namespace {

// What is left to pass over of one column: whole pages first, the rest row by row.
struct ColumnSkip {
  int64_t rows = 0;
  bool pages_done = false;
};

// A row group whose page readers pass over the pages that lie wholly before the start.
class SkippingRowGroup : public parquet::RowGroupReader::Contents {
 public:
  SkippingRowGroup(std::shared_ptr<parquet::RowGroupReader> group, const parquet::ReaderProperties& properties,
                   std::vector<ColumnSkip>* skips)
      : group_(std::move(group)), properties_(properties), skips_(skips) {}

  std::unique_ptr<parquet::PageReader> GetColumnPageReader(int leaf) override {
    std::unique_ptr<parquet::PageReader> pages = group_->GetColumnPageReader(leaf);
    pages->set_data_page_filter([skip = &(*skips_)[leaf]](const parquet::DataPageStats& page) {
      skip->pages_done = skip->pages_done || page.num_values > skip->rows;
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
  SkippingFile(std::unique_ptr<parquet::ParquetFileReader> file, int group, const parquet::ReaderProperties& properties,
               std::vector<ColumnSkip>* skips)
      : file_(std::move(file)),
        group_(group),
        properties_(properties),
        skips_(skips),
        footer_(file_->metadata()->Subset({group})) {}

  void Close() override { file_->Close(); }
  std::shared_ptr<parquet::RowGroupReader> GetRowGroup(int) override {
    return std::make_shared<parquet::RowGroupReader>(
        std::make_unique<SkippingRowGroup>(file_->RowGroup(group_), properties_, skips_));
  }
  std::shared_ptr<parquet::FileMetaData> metadata() const override { return footer_; }
  std::shared_ptr<parquet::PageIndexReader> GetPageIndexReader() override { return file_->GetPageIndexReader(); }
  parquet::BloomFilterReader& GetBloomFilterReader() override { return file_->GetBloomFilterReader(); }

 private:
  const std::unique_ptr<parquet::ParquetFileReader> file_;
  const int group_;
  const parquet::ReaderProperties properties_;
  std::vector<ColumnSkip>* const skips_;
  const std::shared_ptr<parquet::FileMetaData> footer_;
};

// One column, with what was decoded of it but not yet handed out.
struct OpenColumn {
  int leaf = 0;
  std::string name;
  std::unique_ptr<parquet::arrow::ColumnReader> reader;
  std::shared_ptr<arrow::ChunkedArray> decoded;
};

class MiddleReader : public RowReader {
 public:
  MiddleReader(std::string path, int64_t begin, int64_t end, int64_t batch_rows)
      : path_(std::move(path)), row_(begin), end_(end), batch_rows_(batch_rows) {}

  Status Open(std::unique_ptr<parquet::ParquetFileReader> file, int group, const std::vector<int>& leaves) {
    parquet::ReaderProperties properties(DecodeMemory());
    properties.set_page_checksum_verification(true);
    skips_.assign(file->metadata()->num_columns(), ColumnSkip{row_});
    auto skipping = std::make_unique<parquet::ParquetFileReader>();
    skipping->Open(std::make_unique<SkippingFile>(std::move(file), group, properties, &skips_));
    WEIR_ASSIGN_OR_RETURN(file_,
                          FromArrow(parquet::arrow::FileReader::Make(DecodeMemory(), std::move(skipping)), path_));
    const parquet::SchemaDescriptor* schema = file_->parquet_reader()->metadata()->schema();
    for (int leaf : leaves) {
      OpenColumn column;
      column.leaf = leaf;
      column.name = schema->GetColumnRoot(leaf)->name();
      WEIR_RETURN_IF_ERROR(FromArrow(file_->GetColumn(leaf, &column.reader), path_));
      columns_.push_back(std::move(column));
    }
    return Status();
  }

  Result<std::shared_ptr<arrow::RecordBatch>> Next() override {
    if (row_ >= end_) return std::shared_ptr<arrow::RecordBatch>();
    const int64_t rows = std::min(batch_rows_, end_ - row_);
    arrow::FieldVector fields;
    arrow::ArrayVector arrays;
    try {
      for (OpenColumn& column : columns_) {
        WEIR_ASSIGN_OR_RETURN(auto array, Take(&column, rows));
        fields.push_back(arrow::field(column.name, array->type()));
        arrays.push_back(std::move(array));
      }
    } catch (const std::exception& error) {
      return FromParquet(error, fmt::format("{}: rows from {}", path_, row_));
    }
    row_ += rows;
    return arrow::RecordBatch::Make(arrow::schema(std::move(fields)), rows, std::move(arrays));
  }

 private:
  // The column's next `rows` rows.
  Result<std::shared_ptr<arrow::Array>> Take(OpenColumn* column, int64_t rows) {
    ColumnSkip& skip = skips_[column->leaf];
    while (column->decoded == nullptr || skip.rows > 0 || column->decoded->length() < rows) {
      std::shared_ptr<arrow::ChunkedArray> more;
      // What pages are passed over shows once the first is read, so that `skip` is looked at after it.
      WEIR_RETURN_IF_ERROR(
          FromArrow(column->reader->NextBatch(rows, &more), fmt::format("{}: column {}", path_, column->name)));
      if (more == nullptr || more->length() == 0) {
        return DataLoss(fmt::format("{}: column {}: expected {} more rows from row {} of the row group, found none",
                                    path_, column->name, rows, row_));
      }
      const int64_t dropped = std::min(skip.rows, more->length());
      skip.rows -= dropped;
      skip.pages_done = true;
      more = more->Slice(dropped);
      if (column->decoded != nullptr) {
        arrow::ArrayVector chunks = column->decoded->chunks();
        chunks.insert(chunks.end(), more->chunks().begin(), more->chunks().end());
        more = std::make_shared<arrow::ChunkedArray>(std::move(chunks), column->decoded->type());
      }
      column->decoded = std::move(more);
    }
    std::shared_ptr<arrow::ChunkedArray> taken = column->decoded->Slice(0, rows);
    column->decoded = column->decoded->Slice(rows);
    if (taken->num_chunks() == 1) return taken->chunk(0);
    return FromArrow(arrow::Concatenate(taken->chunks()), path_);
  }

  const std::string path_;
  int64_t row_;  // of the row group: the next to be handed out
  const int64_t end_;
  const int64_t batch_rows_;
  std::vector<ColumnSkip> skips_;  // one per leaf column of the file; outlives file_
  std::unique_ptr<parquet::arrow::FileReader> file_;
  std::vector<OpenColumn> columns_;
};

}  // namespace

bool CanSkipPages(const parquet::FileMetaData& footer, const std::vector<int>& leaves) {
  return std::all_of(leaves.begin(), leaves.end(), [&](int leaf) {
    const parquet::ColumnDescriptor* column = footer.schema()->Column(leaf);
    return column->max_repetition_level() == 0 && column->path()->ToDotVector().size() == 1;
  });
}

Result<std::unique_ptr<RowReader>> ReadFromMiddle(const std::string& path,
                                                  std::unique_ptr<parquet::ParquetFileReader> file, int group,
                                                  int64_t begin, int64_t end, const std::vector<int>& leaves,
                                                  int64_t batch_rows) {
  auto reader = std::make_unique<MiddleReader>(path, begin, end, batch_rows);
  WEIR_RETURN_IF_ERROR(reader->Open(std::move(file), group, leaves));
  return std::unique_ptr<RowReader>(std::move(reader));
}

}  // namespace weir
