#include "data_loader/formats/libsvm_file.h"

#include <algorithm>
#include <string_view>

#include <arrow/array.h>
#include <arrow/array/builder_base.h>
#include <arrow/buffer.h>
#include <arrow/buffer_builder.h>
#include <arrow/io/interfaces.h>
#include <arrow/record_batch.h>
#include <arrow/type.h>
#include <fmt/format.h>

#include "data_loader/formats/row_group_cutter.h"
#include "data_loader/lake/arrow_status.h"
#include "data_loader/lake/decode_memory.h"

namespace weir {
namespace {

constexpr int64_t kReadBytes = 1 << 20;

std::string_view KindName(LibsvmKind kind) { return kind == LibsvmKind::kLibsvm ? "libsvm" : "libffm"; }

Status NoRow(const LineFault& fault, LibsvmKind kind) {
  return InvalidArgument(fmt::format("expected {}, found a line whose field {} ('{}') {}", KindName(kind), fault.field,
                                     fault.text.substr(0, 64), fault.reason));
}

// The first row: its faults are told when the file is opened, since most likely it is another format.
Status CheckFirstRow(std::string_view line, LibsvmKind kind) {
  const std::optional<LibsvmKind> found = DetectLibsvmKind(line);
  if (found && *found != kind) {
    return InvalidArgument(fmt::format("expected {}, found a first row of {}: set data.format: {}", KindName(kind),
                                       KindName(*found), *found == LibsvmKind::kLibsvm ? "LIBSVM" : "LIBFFM"));
  }
  LibsvmRows row;
  const LineFault fault = DecodeLibsvmLine(line, kind, &row);
  return fault.is_fault() ? NoRow(fault, kind) : Status();
}

// Cuts text that comes in pieces of any size into row groups.
class LibsvmIndexer {
 public:
  LibsvmIndexer(LibsvmKind kind, std::string path) : kind_(kind), path_(std::move(path)) {}

  Status Append(std::string_view text) {
    while (!text.empty()) {
      const size_t end = text.find('\n');
      const std::string_view piece = text.substr(0, end);
      if (static_cast<int64_t>(begun_.size() + piece.size()) >= kRowBytesMax) {
        return InvalidArgument(fmt::format("{}: the line at byte {}: expected at most {} bytes, found more", path_,
                                           offset_, kRowBytesMax));
      }
      if (end == std::string_view::npos) {
        begun_ += piece;
        return Status();
      }
      WEIR_RETURN_IF_ERROR(EndLine(piece, 1));
      text.remove_prefix(end + 1);
    }
    return Status();
  }

  Result<std::vector<RowGroup>> Finish() {
    WEIR_RETURN_IF_ERROR(EndLine({}, 0));
    cutter_.Finish(offset_);
    return cutter_.TakeGroups();
  }

 private:
  // The line is what has begun and `rest`.
  Status EndLine(std::string_view rest, int64_t line_end_bytes) {
    std::string_view line = rest;
    if (!begun_.empty()) {
      begun_ += rest;
      line = begun_;
    }
    const int64_t end = offset_ + static_cast<int64_t>(line.size()) + line_end_bytes;
    if (IsLibsvmRow(line)) {
      if (!seen_row_) WEIR_RETURN_IF_ERROR(CheckFirstRow(line, kind_).Wrap(fmt::format("{}: row 1", path_)));
      seen_row_ = true;
      cutter_.EndRow(end);
    } else {
      cutter_.PassOver(end);
    }
    offset_ = end;
    begun_.clear();
    return Status();
  }

  const LibsvmKind kind_;
  const std::string path_;
  int64_t offset_ = 0;  // where the line begins that has not ended
  std::string begun_;   // what has come of it
  bool seen_row_ = false;
  RowGroupCutter cutter_{0};
};

template <typename T>
Result<std::shared_ptr<arrow::Buffer>> CopyToBuffer(const std::vector<T>& values) {
  arrow::BufferBuilder builder(DecodeMemory());
  const auto bytes = static_cast<int64_t>(values.size() * sizeof(T));
  WEIR_RETURN_IF_ERROR(FromArrow(builder.Append(values.data(), bytes), "rows of libsvm"));
  return FromArrow(builder.Finish(), "rows of libsvm");
}

template <typename T>
Result<std::shared_ptr<arrow::Array>> ListsOf(const std::shared_ptr<arrow::DataType>& type,
                                              const std::shared_ptr<arrow::Buffer>& offsets, int64_t rows,
                                              const std::vector<T>& values) {
  WEIR_ASSIGN_OR_RETURN(auto buffer, CopyToBuffer(values));
  auto elements = arrow::ArrayData::Make(type->field(0)->type(), static_cast<int64_t>(values.size()),
                                         {nullptr, std::move(buffer)}, 0);
  return arrow::MakeArray(arrow::ArrayData::Make(type, rows, {nullptr, offsets}, {std::move(elements)}, 0));
}

// A row group's text, decoded batch by batch.
class LibsvmReader : public RowReader {
 public:
  LibsvmReader(std::string path, LibsvmKind kind, std::shared_ptr<arrow::Buffer> text, int64_t first_row, int64_t rows,
               std::shared_ptr<arrow::Schema> schema, int64_t batch_rows)
      : path_(std::move(path)),
        kind_(kind),
        buffer_(std::move(text)),
        text_(*buffer_),
        row_(first_row),
        end_(first_row + rows),
        batch_rows_(batch_rows),
        schema_(std::move(schema)) {}

  Status Skip(int64_t rows) {
    std::string_view line;
    for (int64_t i = 0; i < rows; ++i) WEIR_RETURN_IF_ERROR(TakeRow(&line));
    return Status();
  }

  Result<std::shared_ptr<arrow::RecordBatch>> Next() override {
    if (row_ >= end_) return std::shared_ptr<arrow::RecordBatch>();
    rows_.Clear();
    for (const int64_t until = std::min(end_, row_ + batch_rows_); row_ < until;) {
      std::string_view line;
      const int64_t row = row_;
      WEIR_RETURN_IF_ERROR(TakeRow(&line));
      const LineFault fault = DecodeLibsvmLine(line, kind_, &rows_);
      if (fault.is_fault()) return NoRow(fault, kind_).Wrap(fmt::format("{}: row {}", path_, row + 1));
    }
    return MakeBatch();
  }

 private:
  // The next line that is a row.
  Status TakeRow(std::string_view* line) {
    do {
      if (text_.empty()) {
        return DataLoss(fmt::format("{}: expected row {}, found no more: was the file changed while it was read?",
                                    path_, row_ + 1));
      }
      const size_t end = std::min(text_.find('\n'), text_.size());
      *line = text_.substr(0, end);
      text_.remove_prefix(std::min(end + 1, text_.size()));
    } while (!IsLibsvmRow(*line));
    ++row_;
    return Status();
  }

  Result<std::shared_ptr<arrow::RecordBatch>> MakeBatch() {
    // A row group is below 20 MiB of text, so that its pairs can be counted in 32 bits.
    const std::vector<int32_t> narrow(rows_.offsets.begin(), rows_.offsets.end());
    WEIR_ASSIGN_OR_RETURN(const auto offsets, CopyToBuffer(narrow));
    arrow::ArrayVector arrays;
    for (const auto& field : schema_->fields()) {
      WEIR_ASSIGN_OR_RETURN(auto array, MakeColumn(*field, offsets));
      arrays.push_back(std::move(array));
    }
    return arrow::RecordBatch::Make(schema_, rows_.size(), std::move(arrays));
  }

  Result<std::shared_ptr<arrow::Array>> MakeColumn(const arrow::Field& field,
                                                   const std::shared_ptr<arrow::Buffer>& offsets) {
    if (field.name() == "fields") return ListsOf(field.type(), offsets, rows_.size(), rows_.fields);
    if (field.name() == "indices") return ListsOf(field.type(), offsets, rows_.size(), rows_.indices);
    if (field.name() == "values") return ListsOf(field.type(), offsets, rows_.size(), rows_.values);
    WEIR_ASSIGN_OR_RETURN(auto labels, CopyToBuffer(rows_.labels));
    return arrow::MakeArray(arrow::ArrayData::Make(field.type(), rows_.size(), {nullptr, std::move(labels)}, 0));
  }

  const std::string path_;
  const LibsvmKind kind_;
  const std::shared_ptr<arrow::Buffer> buffer_;
  std::string_view text_;  // what is not yet read
  int64_t row_;
  const int64_t end_;
  const int64_t batch_rows_;
  const std::shared_ptr<arrow::Schema> schema_;
  LibsvmRows rows_;
};

Result<std::vector<RowGroup>> Index(arrow::io::RandomAccessFile* file, const std::string& path, LibsvmKind kind) {
  LibsvmIndexer indexer(kind, path);
  std::vector<char> buffer(kReadBytes);
  for (int64_t offset = 0;;) {
    WEIR_ASSIGN_OR_RETURN(const int64_t read, FromArrow(file->ReadAt(offset, kReadBytes, buffer.data()), path));
    if (read == 0) return indexer.Finish();
    WEIR_RETURN_IF_ERROR(indexer.Append(std::string_view(buffer.data(), static_cast<size_t>(read))));
    offset += read;
  }
}

}  // namespace

Result<std::unique_ptr<LakeFile>> LibsvmFile::Open(const LakeEntry& entry, LibsvmKind kind) {
  std::unique_ptr<LibsvmFile> opened(new LibsvmFile(entry, kind));
  WEIR_ASSIGN_OR_RETURN(opened->bytes_, UnpackedEntry::Detect(entry));
  WEIR_ASSIGN_OR_RETURN(auto file, opened->bytes_.Open(entry));
  WEIR_ASSIGN_OR_RETURN(std::vector<RowGroup> groups, Index(file.get(), entry.path, kind));
  arrow::FieldVector fields = {arrow::field("label", arrow::float32())};
  if (kind == LibsvmKind::kLibffm) fields.push_back(arrow::field("fields", arrow::list(arrow::int64())));
  fields.push_back(arrow::field("indices", arrow::list(arrow::int64())));
  fields.push_back(arrow::field("values", arrow::list(arrow::float32())));
  WEIR_RETURN_IF_ERROR(opened->SetContents(arrow::schema(std::move(fields)), std::move(groups)));
  return std::unique_ptr<LakeFile>(std::move(opened));
}

Result<std::unique_ptr<RowReader>> LibsvmFile::Read(int group, int64_t begin, int64_t end,
                                                    const std::vector<std::string>& columns, int64_t batch_rows) const {
  const RowGroup& lines = row_groups()[group];
  WEIR_ASSIGN_OR_RETURN(auto file, bytes_.Open(entry()));
  WEIR_ASSIGN_OR_RETURN(auto text, FromArrow(file->ReadAt(lines.offset_bytes, lines.size_bytes), path()));
  auto reader = std::make_unique<LibsvmReader>(path(), kind_, std::move(text), first_rows()[group], end,
                                               NamedFields(*schema(), columns), batch_rows);
  WEIR_RETURN_IF_ERROR(reader->Skip(begin));
  return std::unique_ptr<RowReader>(std::move(reader));
}

}  // namespace weir
