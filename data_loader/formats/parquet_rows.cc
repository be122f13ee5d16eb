#include "data_loader/formats/parquet_rows.h"

#include <algorithm>
#include <utility>

#include <arrow/array.h>
#include <arrow/record_batch.h>
#include <arrow/type.h>
#include <fmt/format.h>
#include <parquet/column_reader.h>
#include <parquet/exception.h>
#include <parquet/file_reader.h>
#include <parquet/metadata.h>
#include <parquet/schema.h>

#include "data_loader/formats/arrow_columns.h"
#include "data_loader/formats/flat_column.h"
#include "data_loader/formats/page_stream.h"
#include "data_loader/lake/arrow_status.h"

namespace weir {
namespace {

class ParquetRows : public RowReader {
 public:
  ParquetRows(OpenParquet file, int group, int64_t begin, int64_t end, int64_t batch_rows)
      : file_(std::move(file)), group_(group), begin_(begin), end_(end), batch_rows_(batch_rows), row_(begin) {}

  Status Open(const arrow::Schema& schema, const std::vector<std::string>& columns) {
    const parquet::SchemaDescriptor* descriptor = file_.reader->metadata()->schema();
    int last_field = -1;
    for (int leaf = 0; leaf < descriptor->num_columns(); ++leaf) {
      const parquet::schema::Node& root = *descriptor->GetColumnRoot(leaf);
      const int field = descriptor->group_node()->FieldIndex(root);
      if (field == last_field || std::find(columns.begin(), columns.end(), root.name()) == columns.end()) continue;
      last_field = field;
      OpenColumn column;
      column.name = root.name();
      Status status = OpenField(field, leaf, schema, &column.values);
      if (!status.ok()) return status.Wrap(Place(column.name));
      columns_.push_back(std::move(column));
    }
    return Status();
  }

  void AcceptDictionaries(const std::vector<std::string>& columns) override {
    for (OpenColumn& column : columns_) {
      if (std::find(columns.begin(), columns.end(), column.name) != columns.end()) column.values->AcceptDictionary();
    }
  }

  Result<std::shared_ptr<arrow::RecordBatch>> Next() override {
    if (row_ >= end_) return std::shared_ptr<arrow::RecordBatch>();
    const int64_t rows = std::min(batch_rows_, end_ - row_);
    arrow::ArrayVector arrays(columns_.size());
    for (size_t c = 0; c < columns_.size(); ++c) {
      auto array = Read(&columns_[c], rows);
      if (!array.ok()) return array.status().Wrap(Place(columns_[c].name));
      arrays[c] = std::move(*array);
    }
    row_ += rows;
    SetSchema(arrays);
    return arrow::RecordBatch::Make(schema_, rows, std::move(arrays));
  }

 private:
  struct OpenColumn {
    std::string name;
    std::unique_ptr<ParquetColumn> values;
  };

  std::string Place(const std::string& column) const {
    return fmt::format("{}: row group {}, rows from {}, column {}", file_.path, group_, row_, column);
  }

  Status OpenField(int field, int leaf, const arrow::Schema& schema, std::unique_ptr<ParquetColumn>* column) {
    const parquet::ColumnDescriptor* descriptor = file_.reader->metadata()->schema()->Column(leaf);
    const std::shared_ptr<arrow::DataType>& type = schema.field(field)->type();
    if (IsFlatColumn(*descriptor, *type)) {
      *column =
          MakeFlatColumn(descriptor, type,
                         OpenPages(file_.bytes, file_.properties, file_.reader.get(), group_, leaf, unpacker_), begin_);
      return Status();
    }
    if (others_ == nullptr) others_ = std::make_unique<ArrowColumns>(file_.reader, group_, begin_);
    WEIR_ASSIGN_OR_RETURN(*column, others_->Open(field, leaf));
    return Status();
  }

  static Result<std::shared_ptr<arrow::Array>> Read(OpenColumn* column, int64_t rows) {
    try {
      return column->values->Read(rows);
    } catch (const parquet::ParquetStatusException& error) {
      return FromArrow(error.status(), "reading pages");
    } catch (const std::exception& error) {
      return DataLoss(error.what());
    }
  }

  // Keeps the last one while the types stay as they are.
  void SetSchema(const arrow::ArrayVector& arrays) {
    bool same = schema_ != nullptr;
    for (size_t c = 0; same && c < arrays.size(); ++c) {
      same = schema_->field(static_cast<int>(c))->type().get() == arrays[c]->type().get();
    }
    if (same) return;
    arrow::FieldVector fields;
    for (size_t c = 0; c < arrays.size(); ++c) fields.push_back(arrow::field(columns_[c].name, arrays[c]->type()));
    schema_ = arrow::schema(std::move(fields));
  }

  const OpenParquet file_;
  const int group_;
  const int64_t begin_;
  const int64_t end_;
  const int64_t batch_rows_;
  int64_t row_;  // of the group: the next to be read
  const std::shared_ptr<PageUnpacker> unpacker_ = MakePageUnpacker();
  std::unique_ptr<ArrowColumns> others_;
  std::vector<OpenColumn> columns_;
  std::shared_ptr<arrow::Schema> schema_;
};

}  // namespace

Result<std::unique_ptr<RowReader>> ReadParquetRows(OpenParquet file, int group, int64_t begin, int64_t end,
                                                   const arrow::Schema& schema, const std::vector<std::string>& columns,
                                                   int64_t batch_rows) {
  auto rows = std::make_unique<ParquetRows>(std::move(file), group, begin, end, batch_rows);
  WEIR_RETURN_IF_ERROR(rows->Open(schema, columns));
  return std::unique_ptr<RowReader>(std::move(rows));
}

}  // namespace weir
