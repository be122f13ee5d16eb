#include "launch/convert/parquet_output.h"

#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <utility>

#include <arrow/record_batch.h>
#include <arrow/table.h>
#include <arrow/type.h>
#include <arrow/util/byte_size.h>
#include <fmt/format.h>
#include <parquet/arrow/writer.h>
#include <parquet/properties.h>

#include "checkpoint/arrow_io.h"
#include "data_loader/lake/lake.h"

namespace weir {
namespace {

// A reader holds a page and a dictionary of every column, and training has as many readers as streams: small ones keep
// 16 streams of 40 columns within 100 MiB, where 1 MiB, the library's default, would take a GiB.
constexpr int64_t kPageBytes = 64 << 10;
constexpr int64_t kDictionaryBytes = 128 << 10;

bool IsPartName(const std::string& name) { return name.starts_with("part-") && name.ends_with(".parquet"); }

bool IsFolder(const std::string& path) {
  std::error_code error;
  return std::filesystem::is_directory(path, error);
}

bool IsFolderName(const std::string& path) { return FormatOf(path, DataConfig::AUTO) != DataConfig::PARQUET; }

}  // namespace

Status CheckOutput(FileSystem* file_system, const ParquetOutputOptions& options) {
  const bool to_folder = IsFolderName(options.path);
  if (options.rows_per_file > 0 && !to_folder) {
    return InvalidArgument(fmt::format(
        "{}: expected a folder's name where --rows_per_file asks for several files, found a file's", options.path));
  }
  if (!file_system->Exists(options.path)) return Status();
  const bool found_folder = IsFolder(options.path);
  std::vector<std::string> names;
  if (found_folder) {
    WEIR_ASSIGN_OR_RETURN(names, file_system->List(options.path));
    if (to_folder && names.empty()) return Status();
  }
  if (!options.force) {
    return AlreadyExists(fmt::format("{} exists: give another name, or --force to replace it", options.path));
  }
  if (found_folder != to_folder) {
    return AlreadyExists(fmt::format("{}: expected a {} to replace, found a {}", options.path,
                                     to_folder ? "folder" : "file", found_folder ? "folder" : "file"));
  }
  for (const std::string& name : names) {
    if (!IsPartName(name)) {
      return AlreadyExists(
          fmt::format("{}: --force replaces a folder of part-*.parquet only, found {} in it", options.path, name));
    }
  }
  return Status();
}

ParquetOutput::ParquetOutput(FileSystem* file_system, const ParquetOutputOptions& options,
                             std::shared_ptr<arrow::Schema> schema)
    : file_system_(file_system),
      options_(options),
      schema_(std::move(schema)),
      is_folder_(IsFolderName(options.path)) {}

ParquetOutput::~ParquetOutput() {
  writer_.reset();
  sink_.reset();
  if (!has_name_ && !temporary_.empty()) file_system_->RemoveAll(temporary_).IgnoreError();
}

Result<std::unique_ptr<ParquetOutput>> ParquetOutput::Open(FileSystem* file_system, const ParquetOutputOptions& options,
                                                           std::shared_ptr<arrow::Schema> schema) {
  WEIR_RETURN_IF_ERROR(CheckOutput(file_system, options));
  std::unique_ptr<ParquetOutput> output(new ParquetOutput(file_system, options, std::move(schema)));
  std::filesystem::path path = std::filesystem::absolute(options.path).lexically_normal();
  if (!path.has_filename()) path = path.parent_path();  // "out/"
  output->folder_ = path.parent_path().string();
  const std::string temporary = fmt::format(".{}.tmp-{}", path.filename().string(), ::getpid());
  WEIR_RETURN_IF_ERROR(file_system->CreateFolders(output->folder_));
  output->temporary_ = JoinPath(output->folder_, temporary);
  if (output->is_folder_) WEIR_RETURN_IF_ERROR(file_system->CreateFolders(output->temporary_));
  return output;
}

Status ParquetOutput::BeginFile() {
  const std::string path =
      is_folder_ ? JoinPath(temporary_, fmt::format("part-{:05}.parquet", written_.files)) : temporary_;
  WEIR_ASSIGN_OR_RETURN(sink_, FileSink::Create(file_system_, path));
  auto properties = parquet::WriterProperties::Builder()
                        .enable_page_checksum()
                        ->compression(options_.compression)
                        ->data_pagesize(kPageBytes)
                        ->dictionary_pagesize_limit(kDictionaryBytes)
                        ->max_row_group_length(options_.rows_per_group)
                        ->build();
  auto writer = parquet::arrow::FileWriter::Open(*schema_, arrow::default_memory_pool(), sink_, properties);
  if (!writer.ok()) return sink_->Explain(writer.status());
  writer_ = std::move(*writer);
  file_rows_ = 0;
  return Status();
}

Status ParquetOutput::WriteGroup() {
  if (group_.empty()) return Status();
  auto table = arrow::Table::FromRecordBatches(schema_, group_);
  if (!table.ok()) return sink_->Explain(table.status());
  group_.clear();
  group_bytes_ = 0;
  written_.rows += std::exchange(group_rows_, 0);
  return sink_->Explain(writer_->WriteTable(**table, options_.rows_per_group));
}

Status ParquetOutput::EndFile() {
  WEIR_RETURN_IF_ERROR(WriteGroup());
  WEIR_RETURN_IF_ERROR(sink_->Explain(writer_->Close()));
  DataFile entry;
  WEIR_RETURN_IF_ERROR(sink_->Finish(&entry));
  writer_.reset();
  sink_.reset();
  written_.bytes += static_cast<int64_t>(entry.bytes());
  ++written_.files;
  return Status();
}

Status ParquetOutput::Write(const std::shared_ptr<arrow::RecordBatch>& rows) {
  for (int64_t at = 0; at < rows->num_rows();) {
    if (writer_ == nullptr) WEIR_RETURN_IF_ERROR(BeginFile());
    int64_t take = std::min(rows->num_rows() - at, options_.rows_per_group - group_rows_);
    if (options_.rows_per_file > 0) take = std::min(take, options_.rows_per_file - file_rows_);
    group_.push_back(rows->Slice(at, take));
    group_rows_ += take;
    file_rows_ += take;
    at += take;
    const auto bytes = arrow::util::ReferencedBufferSize(*group_.back());
    if (!bytes.ok()) return sink_->Explain(bytes.status());
    group_bytes_ += *bytes;
    if (group_rows_ == options_.rows_per_group || group_bytes_ >= options_.bytes_per_group)
      WEIR_RETURN_IF_ERROR(WriteGroup());
    if (file_rows_ == options_.rows_per_file) WEIR_RETURN_IF_ERROR(EndFile());
  }
  return Status();
}

Status ParquetOutput::GiveName() {
  if (is_folder_) WEIR_RETURN_IF_ERROR(file_system_->SyncFolder(temporary_));
  std::string replaced;
  if (file_system_->Exists(options_.path)) {
    // Looked at again: the run may have taken hours. Without `force` this is an error.
    WEIR_RETURN_IF_ERROR(CheckOutput(file_system_, options_));
    replaced = temporary_ + "-replaced";
    WEIR_RETURN_IF_ERROR(file_system_->Rename(options_.path, replaced));
  }
  if (Status renamed = file_system_->Rename(temporary_, options_.path); !renamed.ok()) {
    if (!replaced.empty()) file_system_->Rename(replaced, options_.path).IgnoreError();  // as it was
    return renamed;
  }
  has_name_ = true;
  WEIR_RETURN_IF_ERROR(file_system_->SyncFolder(folder_));
  return replaced.empty() ? Status() : file_system_->RemoveAll(replaced);
}

Result<ParquetWritten> ParquetOutput::Finish() {
  if (writer_ == nullptr && written_.files == 0) WEIR_RETURN_IF_ERROR(BeginFile());
  if (writer_ != nullptr) WEIR_RETURN_IF_ERROR(EndFile());
  WEIR_RETURN_IF_ERROR(GiveName());
  return written_;
}

}  // namespace weir
