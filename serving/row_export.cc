#include "serving/row_export.h"

#include <algorithm>
#include <memory>
#include <vector>

#include <arrow/array/array_nested.h>
#include <arrow/array/array_primitive.h>
#include <arrow/buffer.h>
#include <arrow/record_batch.h>
#include <arrow/type.h>
#include <fmt/format.h>
#include <parquet/arrow/writer.h>
#include <parquet/properties.h>

#include "checkpoint/arrow_io.h"
#include "checkpoint/row_file_reader.h"

namespace weir {
namespace {

std::string FileName(const std::string& table) {
  std::string name = "rows-";
  for (const char c : table) {
    const bool plain =
        (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.' || c == '-' || c == '_';
    name += plain ? std::string(1, c) : fmt::format("%{:02X}", static_cast<unsigned char>(c));
  }
  return name + ".parquet";
}

// The row files of a table, by their shards.
std::vector<DataFile> RowFilesOf(const Manifest& manifest, const std::string& table) {
  std::vector<DataFile> files;
  for (const DataFile& file : manifest.files()) {
    if (file.kind() == DataFile::ROWS && file.table() == table) files.push_back(file);
  }
  std::sort(files.begin(), files.end(),
            [](const DataFile& a, const DataFile& b) { return a.shard_begin() < b.shard_begin(); });
  return files;
}

std::shared_ptr<arrow::Schema> VectorSchema(int dim) {
  return arrow::schema(
      {arrow::field("key", arrow::uint64(), /*nullable=*/false),
       arrow::field("vector", arrow::fixed_size_list(arrow::field("element", arrow::float32(), false), dim), false)});
}

// Views of a batch's keys and weights, no copies: they live until the reader's next call.
std::shared_ptr<arrow::RecordBatch> ViewBatch(const std::shared_ptr<arrow::Schema>& schema, const RowBatch& rows,
                                              int dim) {
  auto keys = std::make_shared<arrow::UInt64Array>(rows.num_rows, arrow::Buffer::Wrap(rows.keys, rows.num_rows));
  const int64_t floats = rows.num_rows * dim;
  auto elements = std::make_shared<arrow::FloatArray>(floats, arrow::Buffer::Wrap(rows.columns[0], floats));
  auto vectors = std::make_shared<arrow::FixedSizeListArray>(schema->field(1)->type(), rows.num_rows, elements);
  return arrow::RecordBatch::Make(schema, rows.num_rows, {keys, vectors});
}

Result<std::unique_ptr<parquet::arrow::FileWriter>> OpenWriter(const std::shared_ptr<arrow::Schema>& schema,
                                                               const std::shared_ptr<FileSink>& sink) {
  // Vectors and keys are close to random bits: neither a dictionary nor compression makes them smaller.
  auto properties = parquet::WriterProperties::Builder().disable_dictionary()->enable_page_checksum()->build();
  auto arrow_properties = parquet::ArrowWriterProperties::Builder().store_schema()->build();
  auto writer =
      parquet::arrow::FileWriter::Open(*schema, arrow::default_memory_pool(), sink, properties, arrow_properties);
  if (!writer.ok()) return sink->Explain(writer.status());
  return std::move(writer).ValueOrDie();
}

// Every row of `files` into `writer`; returns their number.
Result<uint64_t> CopyRows(FileSystem* file_system, const std::string& checkpoint, const Manifest& manifest,
                          const TableSpec& spec, const std::shared_ptr<arrow::Schema>& schema,
                          parquet::arrow::FileWriter* writer, const FileSink& sink) {
  uint64_t rows_copied = 0;
  for (const DataFile& file : RowFilesOf(manifest, spec.name)) {
    const RowFileHeader header{
        spec.name, spec.layout, {file.shard_begin(), file.shard_end()}, manifest.hash_rule().virtual_shards()};
    WEIR_ASSIGN_OR_RETURN(auto reader, RowFileReader::Open(file_system, checkpoint, file, header));
    while (true) {
      WEIR_ASSIGN_OR_RETURN(const RowBatch rows, reader->Next());
      if (rows.num_rows == 0) break;
      // One row group a batch, so that no more than that is buffered.
      WEIR_RETURN_IF_ERROR(sink.Explain(writer->NewBufferedRowGroup()));
      WEIR_RETURN_IF_ERROR(sink.Explain(writer->WriteRecordBatch(*ViewBatch(schema, rows, spec.layout.dim))));
      rows_copied += static_cast<uint64_t>(rows.num_rows);
    }
  }
  return rows_copied;
}

}  // namespace

Result<ExportedTable> ExportRows(FileSystem* file_system, const std::string& checkpoint, const Manifest& manifest,
                                 const TableSpec& spec, const std::string& out_folder) {
  const std::string name = FileName(spec.name);
  const std::shared_ptr<arrow::Schema> schema = VectorSchema(spec.layout.dim);
  WEIR_ASSIGN_OR_RETURN(auto sink, FileSink::Create(file_system, JoinPath(out_folder, name)));
  WEIR_ASSIGN_OR_RETURN(auto writer, OpenWriter(schema, sink));
  WEIR_ASSIGN_OR_RETURN(const uint64_t rows,
                        CopyRows(file_system, checkpoint, manifest, spec, schema, writer.get(), *sink));
  WEIR_RETURN_IF_ERROR(sink->Explain(writer->Close()));
  DataFile written;
  WEIR_RETURN_IF_ERROR(sink->Finish(&written));
  ExportedTable table;
  table.set_name(spec.name);
  table.set_dim(spec.layout.dim);
  table.set_rows(rows);
  table.set_file(name);
  table.set_bytes(written.bytes());
  table.set_crc32c(written.crc32c());
  table.set_seed(spec.seed);
  *table.mutable_initializer() = spec.initializer;
  const std::vector<float> missing = WeightsWithoutRow(spec);
  table.mutable_missing_row()->Assign(missing.begin(), missing.end());
  return table;
}

}  // namespace weir
