// CsvIndex: where the rows of a CSV file lie, so that any run of them can be read without what stands before.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include <arrow/io/type_fwd.h>

#include "base/status.h"
#include "data_loader/formats/row_group_cutter.h"

namespace weir {

// A longer row is refused: most likely a stray quote swallows the file. Arrow counts the bytes of a block, here a row
// group, in 32 bits.
static_assert(kGroupBytes + kRowBytesMax < INT32_MAX);

// Finds the lines of CSV text that comes in pieces of any size. Lines end at CR, LF or CR LF outside quotes; a quote
// opens only at the start of a field and is doubled inside; empty lines are no rows: all of it as Arrow's reader sees
// it.
class CsvIndexer {
 public:
  CsvIndexer(char delimiter, int64_t first_offset_bytes)
      : delimiter_(delimiter),
        first_offset_(first_offset_bytes),
        offset_(first_offset_bytes),
        row_(first_offset_bytes),
        cutter_(first_offset_bytes) {}

  void Append(std::span<const char> text);
  // Ends the last row. False when the text ends inside quotes.
  bool Finish();
  // Bytes seen up to the end of the first row, its line end included; 0 before it has ended.
  int64_t first_row_bytes() const { return first_row_bytes_; }
  // InvalidArgument from the first row of more than kRowBytesMax bytes on; the rows are of no use then.
  Status CheckRowBytes(const std::string& path) const;
  std::vector<RowGroup> TakeGroups() { return cutter_.TakeGroups(); }

 private:
  void EndLine(int64_t end_offset);
  void NoteRowBytes(int64_t end_offset);

  char delimiter_;
  int64_t first_offset_;
  int64_t offset_;         // of the next byte in the file
  int64_t row_;            // where the row began that has not ended
  int64_t long_row_ = -1;  // where the first row too long began, if there is one
  bool at_field_start_ = true;
  bool in_quotes_ = false;
  bool after_quote_ = false;  // a quote inside quotes: the field's end, or half of a doubled one
  bool line_has_bytes_ = false;
  int64_t first_row_bytes_ = 0;
  RowGroupCutter cutter_;
};

// Indexes the file from `offset_bytes` on; `path` is for messages. InvalidArgument when it ends inside quotes or a row
// is too long.
Result<std::vector<RowGroup>> IndexCsv(arrow::io::RandomAccessFile* file, const std::string& path, char delimiter,
                                       int64_t offset_bytes);

}  // namespace weir
