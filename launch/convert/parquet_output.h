// ParquetOutput: a Parquet file, or a folder of them, that is seen under its name only when it is whole.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include <arrow/type_fwd.h>
#include <arrow/util/type_fwd.h>

#include "base/file_system.h"
#include "base/status.h"

namespace parquet::arrow {
class FileWriter;
}

namespace weir {

class FileSink;

struct ParquetOutputOptions {
  // A file, if it ends in ".parquet" or ".pq", else a folder that gets part-00000.parquet, part-00001.parquet, ...
  std::string path;
  // Whether what is there under that name is replaced: a file, or a folder of nothing but such parts.
  bool force = false;
  int64_t rows_per_file = 0;  // 0: all in one; a folder only
  int64_t rows_per_group = 1 << 18;
  int64_t bytes_per_group = 256 << 20;  // in memory; a row group ends at this too, for rows may be long
  arrow::Compression::type compression = arrow::Compression::ZSTD;
};

struct ParquetWritten {
  int64_t rows = 0;
  int64_t files = 0;
  int64_t bytes = 0;
};

// AlreadyExists where something stands under the path that may not be replaced, InvalidArgument for options that
// contradict each other. Open() asks too; before a long pass over the input one would rather know at once.
Status CheckOutput(FileSystem* file_system, const ParquetOutputOptions& options);

// Written to ".NAME.tmp-PID" beside it, a name that data sources skip, then renamed; removed where writing fails or is
// given up. Pages have checksums. Holds the rows of a row group and its encoded columns. One thread.
class ParquetOutput {
 public:
  // Errors as CheckOutput().
  static Result<std::unique_ptr<ParquetOutput>> Open(FileSystem* file_system, const ParquetOutputOptions& options,
                                                     std::shared_ptr<arrow::Schema> schema);
  ~ParquetOutput();

  Status Write(const std::shared_ptr<arrow::RecordBatch>& rows);
  // Ends the last file and gives the output its name. An output without rows still has one file.
  Result<ParquetWritten> Finish();

 private:
  ParquetOutput(FileSystem* file_system, const ParquetOutputOptions& options, std::shared_ptr<arrow::Schema> schema);

  Status BeginFile();
  Status EndFile();
  Status WriteGroup();
  Status GiveName();

  FileSystem* const file_system_;
  const ParquetOutputOptions options_;
  const std::shared_ptr<arrow::Schema> schema_;
  const bool is_folder_;
  std::string folder_;     // that holds the output
  std::string temporary_;  // file or folder
  std::shared_ptr<FileSink> sink_;
  std::unique_ptr<parquet::arrow::FileWriter> writer_;
  std::vector<std::shared_ptr<arrow::RecordBatch>> group_;  // rows of the row group under way
  int64_t group_rows_ = 0;
  int64_t group_bytes_ = 0;
  int64_t file_rows_ = 0;  // of the file under way, group_ too
  bool has_name_ = false;
  ParquetWritten written_;
};

}  // namespace weir
