#include "data_loader/formats/csv_file.h"

#include <algorithm>
#include <string_view>

#include <arrow/array.h>
#include <arrow/array/builder_binary.h>
#include <arrow/buffer.h>
#include <arrow/csv/api.h>
#include <arrow/io/interfaces.h>
#include <arrow/io/memory.h>
#include <arrow/record_batch.h>
#include <arrow/table.h>
#include <arrow/type.h>
#include <fmt/format.h>

#include "data_loader/formats/broken_rows.h"
#include "data_loader/formats/csv_index.h"
#include "data_loader/lake/arrow_status.h"
#include "proto/job_text.h"

namespace weir {
namespace {

std::string_view Trim(std::string_view text) {
  constexpr std::string_view kSpace = " \t\r\n\v\f";
  size_t first = text.find_first_not_of(kSpace);
  if (first == std::string_view::npos) return {};
  return text.substr(first, text.find_last_not_of(kSpace) - first + 1);
}

// The fields of one line, without quotes.
std::vector<std::string> SplitLine(std::string_view line, char delimiter) {
  std::vector<std::string> fields(1);
  bool quoted = false, at_start = true;
  for (size_t i = 0; i < line.size(); ++i) {
    if (quoted && line[i] == '"' && i + 1 < line.size() && line[i + 1] == '"') {
      fields.back() += line[++i];
    } else if (line[i] == '"' && (quoted || at_start)) {
      quoted = !quoted;
      at_start = false;
    } else if (line[i] == delimiter && !quoted) {
      fields.emplace_back();
      at_start = true;
    } else {
      fields.back() += line[i];
      at_start = false;
    }
  }
  return fields;
}

Result<char> Delimiter(const std::string& path, const CsvConfig& config) {
  if (!config.has_delimiter()) return path.ends_with(".tsv") || path.ends_with(".tsv.gz") ? '\t' : ',';
  if (config.delimiter().size() != 1 || config.delimiter()[0] == '"' || config.delimiter()[0] == '\n') {
    return InvalidArgument(fmt::format("data.csv.delimiter: expected one character, found '{}'", config.delimiter()));
  }
  return config.delimiter()[0];
}

// Of a row with another number of fields, for the message.
constexpr size_t kBrokenTextBytes = 64;

struct Header {
  std::vector<std::string> names;
  int64_t end_bytes = 0;  // where the rows begin
};

Result<std::string> ReadStart(arrow::io::RandomAccessFile* file, const std::string& path, int64_t size_bytes) {
  WEIR_ASSIGN_OR_RETURN(auto start, FromArrow(file->ReadAt(0, size_bytes), path));
  return start->ToString();
}

Status CheckIsText(const std::string& path, std::string_view start) {
  if (start.starts_with("PAR1")) {
    return InvalidArgument(fmt::format("{}: this is Parquet, but its ending says CSV: set data.format: PARQUET", path));
  }
  if (start.starts_with("ARROW1")) {
    return InvalidArgument(fmt::format("{}: this is Arrow IPC, but its ending says CSV: set data.format: ARROW", path));
  }
  return Status();
}

// The file's first line with its end and the empty lines before it; "" when there is none. `start`: what is read so
// far, from byte `offset_bytes` on.
Result<std::string> ReadFirstLine(arrow::io::RandomAccessFile* file, const std::string& path, char delimiter,
                                  std::string start, int64_t offset_bytes) {
  CsvIndexer indexer(delimiter, offset_bytes);
  indexer.Append(std::string_view(start).substr(offset_bytes));
  if (indexer.first_row_bytes() == 0) {
    WEIR_ASSIGN_OR_RETURN(start, ReadStart(file, path, offset_bytes + kRowBytesMax + 1));
    indexer = CsvIndexer(delimiter, offset_bytes);
    indexer.Append(std::string_view(start).substr(offset_bytes));
    WEIR_RETURN_IF_ERROR(indexer.CheckRowBytes(path).Wrap("the header"));
    const bool whole = static_cast<int64_t>(start.size()) <= offset_bytes + kRowBytesMax;
    if (indexer.first_row_bytes() == 0 && (!whole || !indexer.Finish())) {
      return InvalidArgument(
          fmt::format("{}: expected the header in the first {} bytes, found no end of it: is a quote (\") not closed?",
                      path, kRowBytesMax));
    }
  }
  return start.substr(offset_bytes, indexer.first_row_bytes());
}

// The columns' names, from the first line or the configuration, and where the rows begin.
Result<Header> ReadHeader(arrow::io::RandomAccessFile* file, const std::string& path, const CsvConfig& config,
                          char delimiter, bool sniff) {
  WEIR_ASSIGN_OR_RETURN(std::string start, ReadStart(file, path, 64 << 10));
  if (sniff) WEIR_RETURN_IF_ERROR(CheckIsText(path, start));
  Header header;
  if (start.starts_with("\xEF\xBB\xBF")) header.end_bytes = 3;
  if (config.header()) {
    WEIR_ASSIGN_OR_RETURN(const std::string first,
                          ReadFirstLine(file, path, delimiter, std::move(start), header.end_bytes));
    std::string_view line = first;
    header.end_bytes += static_cast<int64_t>(first.size());
    while (!line.empty() && (line.back() == '\n' || line.back() == '\r')) line.remove_suffix(1);
    while (!line.empty() && (line.front() == '\n' || line.front() == '\r')) line.remove_prefix(1);
    if (!line.empty()) header.names = SplitLine(line, delimiter);
  }
  if (config.column_names_size() > 0) {
    header.names.clear();
    for (const std::string& name : config.column_names()) {
      WEIR_ASSIGN_OR_RETURN(std::vector<std::string> expanded, ExpandRange(name));
      header.names.insert(header.names.end(), expanded.begin(), expanded.end());
    }
  }
  if (header.names.empty()) {
    return InvalidArgument(
        fmt::format("{}: expected the columns' names, found none: they stand in the file's first line "
                    "(data.csv.header: true) or in data.csv.column_names",
                    path));
  }
  if (config.trim()) {
    for (std::string& name : header.names) name = std::string(Trim(name));
  }
  return header;
}

// One column with white space dropped and nulls for what means "missing".
Result<std::shared_ptr<arrow::Array>> Clean(const arrow::StringArray& column, bool trim,
                                            const std::vector<std::string>& null_values, std::string_view what) {
  arrow::StringBuilder builder;
  WEIR_RETURN_IF_ERROR(FromArrow(builder.Reserve(column.length()), what));
  WEIR_RETURN_IF_ERROR(FromArrow(builder.ReserveData(column.total_values_length()), what));
  for (int64_t i = 0; i < column.length(); ++i) {
    std::string_view field = trim ? Trim(column.GetView(i)) : column.GetView(i);
    bool missing = field.empty() || std::find(null_values.begin(), null_values.end(), field) != null_values.end();
    if (missing) {
      builder.UnsafeAppendNull();
    } else {
      builder.UnsafeAppend(field);
    }
  }
  return FromArrow(builder.Finish(), what);
}

// A parsed row group, handed out in slices.
class CsvRowReader : public RowReader {
 public:
  CsvRowReader(std::shared_ptr<arrow::RecordBatch> rows, int64_t batch_rows)
      : rows_(std::move(rows)), batch_rows_(batch_rows) {}

  Result<std::shared_ptr<arrow::RecordBatch>> Next() override {
    if (row_ >= rows_->num_rows()) return std::shared_ptr<arrow::RecordBatch>();
    std::shared_ptr<arrow::RecordBatch> batch = rows_->Slice(row_, batch_rows_);
    row_ += batch->num_rows();
    return batch;
  }

 private:
  const std::shared_ptr<arrow::RecordBatch> rows_;
  const int64_t batch_rows_;
  int64_t row_ = 0;
};

}  // namespace

Result<std::unique_ptr<LakeFile>> CsvFile::Open(const LakeEntry& entry, const CsvConfig& config, bool sniff) {
  std::unique_ptr<CsvFile> opened(new CsvFile(entry));
  WEIR_ASSIGN_OR_RETURN(opened->delimiter_, Delimiter(entry.path, config));
  opened->trim_ = config.trim();
  opened->null_values_.assign(config.null_values().begin(), config.null_values().end());
  WEIR_ASSIGN_OR_RETURN(opened->bytes_, UnpackedEntry::Detect(entry));
  WEIR_ASSIGN_OR_RETURN(auto file, opened->bytes_.Open(entry));
  WEIR_ASSIGN_OR_RETURN(Header header, ReadHeader(file.get(), entry.path, config, opened->delimiter_, sniff));
  WEIR_ASSIGN_OR_RETURN(std::vector<RowGroup> groups,
                        IndexCsv(file.get(), entry.path, opened->delimiter_, header.end_bytes));
  arrow::FieldVector fields;
  for (const std::string& name : header.names) fields.push_back(arrow::field(name, arrow::utf8()));
  WEIR_RETURN_IF_ERROR(opened->SetContents(AsText(arrow::schema(std::move(fields))), std::move(groups)));
  return std::unique_ptr<LakeFile>(std::move(opened));
}

Result<std::unique_ptr<RowReader>> CsvFile::Read(int group, int64_t begin, int64_t end,
                                                 const std::vector<std::string>& columns, int64_t batch_rows) const {
  const RowGroup& lines = row_groups()[group];
  const int64_t first_row = first_rows()[group];
  WEIR_ASSIGN_OR_RETURN(auto file, bytes_.Open(entry()));
  WEIR_ASSIGN_OR_RETURN(auto text, FromArrow(file->ReadAt(lines.offset_bytes, lines.size_bytes), path()));

  auto read = arrow::csv::ReadOptions::Defaults();
  read.use_threads = false;
  read.block_size = static_cast<int32_t>(std::max<int64_t>(lines.size_bytes + 1, 1024));
  read.column_names = schema()->field_names();
  auto parse = arrow::csv::ParseOptions::Defaults();
  parse.delimiter = delimiter_;
  parse.newlines_in_values = true;
  std::vector<BrokenRow> broken;
  parse.invalid_row_handler = [&](const arrow::csv::InvalidRow& row) {
    broken.push_back({row.number - 1,
                      fmt::format("has {} fields, expected {}", row.actual_columns, row.expected_columns),
                      std::string(row.text.substr(0, kBrokenTextBytes))});
    return arrow::csv::InvalidRowResult::Skip;
  };
  auto convert = arrow::csv::ConvertOptions::Defaults();
  convert.include_columns = columns;
  convert.check_utf8 = false;
  for (const std::string& column : columns) convert.column_types[column] = arrow::utf8();

  std::string place = fmt::format("{}: rows {} to {}", path(), first_row + 1, first_row + lines.rows);
  auto input = std::make_shared<arrow::io::BufferReader>(text);
  WEIR_ASSIGN_OR_RETURN(
      auto reader,
      FromArrow(arrow::csv::TableReader::Make(arrow::io::default_io_context(), input, read, parse, convert), place));
  auto table = reader->Read();
  if (!table.ok()) return InvalidArgument(fmt::format("{}: {}", place, table.status().message()));
  const int64_t num_rows = (*table)->num_rows() + static_cast<int64_t>(broken.size());
  if (num_rows != lines.rows) {
    return DataLoss(fmt::format("{}: expected {} rows, found {}: was the file changed while it was read?", place,
                                lines.rows, num_rows));
  }
  WEIR_ASSIGN_OR_RETURN(auto rows, FromArrow((*table)->CombineChunksToBatch(), place));
  if (!broken.empty()) {
    WEIR_ASSIGN_OR_RETURN(rows, InsertBrokenRows(*rows, broken));
  }
  rows = rows->Slice(begin, end - begin);
  arrow::ArrayVector cleaned;
  for (size_t c = 0; c < columns.size(); ++c) {
    const auto& column = static_cast<const arrow::StringArray&>(*rows->column(static_cast<int>(c)));
    WEIR_ASSIGN_OR_RETURN(auto array, Clean(column, trim_, null_values_, place));
    cleaned.push_back(std::move(array));
  }
  if (!broken.empty()) cleaned.push_back(rows->columns().back());
  auto batch = arrow::RecordBatch::Make(AsText(rows->schema()), rows->num_rows(), std::move(cleaned));
  return std::unique_ptr<RowReader>(std::make_unique<CsvRowReader>(std::move(batch), batch_rows));
}

}  // namespace weir
