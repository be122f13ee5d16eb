#include "data_loader/formats/csv_index.h"

#include <algorithm>
#include <cstring>
#include <memory>

#include <arrow/buffer.h>
#include <arrow/io/interfaces.h>
#include <fmt/format.h>

#include "data_loader/lake/arrow_status.h"

namespace weir {
namespace {

constexpr int64_t kReadBytes = 1 << 20;

bool Contains(std::span<const char> text, char wanted) {
  return std::memchr(text.data(), wanted, text.size()) != nullptr;
}

}  // namespace

void CsvIndexer::EndLine(int64_t end_offset) {
  at_field_start_ = true;
  after_quote_ = false;
  NoteRowBytes(end_offset);
  row_ = end_offset;
  if (line_has_bytes_) {
    line_has_bytes_ = false;
    if (first_row_bytes_ == 0) first_row_bytes_ = end_offset - first_offset_;
    cutter_.EndRow(end_offset);
  } else {
    cutter_.PassOver(end_offset);
  }
}

void CsvIndexer::NoteRowBytes(int64_t end_offset) {
  if (long_row_ < 0 && end_offset - row_ > kRowBytesMax) long_row_ = row_;
}

Status CsvIndexer::CheckRowBytes(const std::string& path) const {
  if (long_row_ < 0) return Status();
  return InvalidArgument(
      fmt::format("{}: the row at byte {}: expected at most {} bytes, found more: is a quote (\") not closed?", path,
                  long_row_, kRowBytesMax));
}

void CsvIndexer::Append(std::span<const char> text) {
  const int64_t base = offset_;
  offset_ += static_cast<int64_t>(text.size());
  if (text.empty()) return;
  if (!in_quotes_ && !after_quote_ && !Contains(text, '"') && !Contains(text, '\r')) {
    // Plain lines: only their ends matter.
    size_t from = 0;
    while (from < text.size()) {
      const void* end = std::memchr(text.data() + from, '\n', text.size() - from);
      size_t to = end == nullptr ? text.size() : static_cast<const char*>(end) - text.data();
      if (to > from) {
        line_has_bytes_ = true;
        at_field_start_ = text[to - 1] == delimiter_;
      }
      if (end == nullptr) break;
      EndLine(base + static_cast<int64_t>(to) + 1);
      from = to + 1;
    }
    NoteRowBytes(offset_);
    return;
  }
  for (size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    if (in_quotes_) {
      if (c == '"') {
        in_quotes_ = false;
        after_quote_ = true;
      }
    } else if (c == '"' && (at_field_start_ || after_quote_)) {
      in_quotes_ = line_has_bytes_ = true;
      at_field_start_ = after_quote_ = false;
    } else if (c == '\n' || c == '\r') {
      EndLine(base + static_cast<int64_t>(i) + 1);
    } else {
      line_has_bytes_ = true;
      after_quote_ = false;
      at_field_start_ = c == delimiter_;
    }
  }
  NoteRowBytes(offset_);
}

bool CsvIndexer::Finish() {
  if (in_quotes_) return false;
  EndLine(offset_);
  cutter_.Finish(offset_);
  return true;
}

Result<std::vector<RowGroup>> IndexCsv(arrow::io::RandomAccessFile* file, const std::string& path, char delimiter,
                                       int64_t offset_bytes) {
  CsvIndexer indexer(delimiter, offset_bytes);
  std::vector<char> buffer(kReadBytes);
  for (int64_t offset = offset_bytes;;) {
    WEIR_ASSIGN_OR_RETURN(int64_t read, FromArrow(file->ReadAt(offset, kReadBytes, buffer.data()), path));
    if (read == 0) break;
    indexer.Append(std::span<const char>(buffer.data(), static_cast<size_t>(read)));
    WEIR_RETURN_IF_ERROR(indexer.CheckRowBytes(path));
    offset += read;
  }
  if (!indexer.Finish()) {
    return InvalidArgument(
        fmt::format("{}: the file ends inside a quoted field: it is torn, or a quote (\") is not closed", path));
  }
  return indexer.TakeGroups();
}

}  // namespace weir
