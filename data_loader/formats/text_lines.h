// TextLines: the lines of a text file, one after another, whatever its size.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include <arrow/io/type_fwd.h>

#include "base/status.h"
#include "data_loader/lake/lake.h"

namespace weir {

// One thread. Holds a block of the file and the line that reaches over its end.
class TextLines {
 public:
  // Of a line, its end included; a longer one is refused.
  static constexpr int64_t kLineBytesMax = 16 << 20;

  // A file whose name ends in ".gz" is unpacked. Errors name the path, and are those of OpenEntry() too.
  static Result<std::unique_ptr<TextLines>> Open(const LakeEntry& entry);
  ~TextLines();

  // The next line without its "\n", good until the next call; false after the last. A last line needs no end.
  // DataLoss where gzip is torn, InvalidArgument for a line too long.
  Result<bool> Next(std::string_view* line);

  // Of the last line that came, from 1.
  int64_t line_number() const { return line_number_; }
  // Of the file as it lies on the disk, read so far.
  int64_t bytes_read() const;

 private:
  TextLines(std::string path, std::shared_ptr<arrow::io::RandomAccessFile> file,
            std::shared_ptr<arrow::io::InputStream> text);
  // Drops what was handed out and appends a block; false at the end of the file.
  Result<bool> ReadMore();

  const std::string path_;
  const std::shared_ptr<arrow::io::RandomAccessFile> file_;
  const std::shared_ptr<arrow::io::InputStream> text_;
  std::string held_;
  size_t at_ = 0;        // of held_: what follows was not handed out
  size_t searched_ = 0;  // of held_: no line ends between at_ and here
  int64_t line_number_ = 0;
};

}  // namespace weir
