#include "data_loader/formats/arrow_file.h"

#include <algorithm>
#include <cstring>
#include <string_view>
#include <utility>

#include <arrow/buffer.h>
#include <arrow/io/interfaces.h>
#include <arrow/ipc/options.h>
#include <arrow/ipc/reader.h>
#include <arrow/record_batch.h>
#include <arrow/type.h>
#include <fmt/format.h>

#include "data_loader/formats/bounded_file.h"
#include "data_loader/formats/bounded_memory.h"
#include "data_loader/lake/arrow_status.h"

namespace weir {
namespace {

constexpr std::string_view kFileMagic = "ARROW1";
constexpr int64_t kFirstMessage = 8;  // in the file format

// What the file's first bytes say: true for a stream.
Result<bool> IsStream(const std::string& path, std::string_view start) {
  if (start.starts_with(kFileMagic)) return false;
  if (start.starts_with("\xFF\xFF\xFF\xFF")) return true;
  const char* other = start.starts_with("FEA1")       ? "Feather version 1, which is not read: write it as version 2"
                      : start.starts_with("PAR1")     ? "Parquet: set data.format: PARQUET"
                      : start.starts_with("\x1f\x8b") ? "gzip: unpack it; Arrow has compression of its own"
                                                      : nullptr;
  if (other != nullptr) return InvalidArgument(fmt::format("{}: expected Arrow IPC, found {}", path, other));
  return DataLoss(
      fmt::format("{}: expected Arrow IPC, found bytes that are none: it is damaged, or of another format", path));
}

// Messages of a file, one after another, as a stream.
class MessageStream : public arrow::io::InputStream {
 public:
  MessageStream(std::shared_ptr<arrow::io::RandomAccessFile> file, std::vector<ArrowMessage> messages)
      : file_(std::move(file)), messages_(std::move(messages)) {}

  arrow::Status Close() override { return file_->Close(); }
  bool closed() const override { return file_->closed(); }
  arrow::Result<int64_t> Tell() const override { return position_; }

  arrow::Result<int64_t> Read(int64_t nbytes, void* out) override {
    ARROW_ASSIGN_OR_RAISE(const auto buffer, Read(nbytes));
    if (buffer->size() > 0) std::memcpy(out, buffer->data(), static_cast<size_t>(buffer->size()));
    return buffer->size();
  }

  // Never more than is left of a message: its parts are asked for one by one.
  arrow::Result<std::shared_ptr<arrow::Buffer>> Read(int64_t nbytes) override {
    while (message_ < messages_.size() && used_ == messages_[message_].size_bytes) {
      ++message_;
      used_ = 0;
    }
    if (message_ == messages_.size()) return std::make_shared<arrow::Buffer>(nullptr, 0);
    const int64_t size = std::min(nbytes, messages_[message_].size_bytes - used_);
    ARROW_ASSIGN_OR_RAISE(auto buffer, file_->ReadAt(messages_[message_].offset_bytes + used_, size));
    used_ += size;
    position_ += size;
    return buffer;
  }

 private:
  const std::shared_ptr<arrow::io::RandomAccessFile> file_;
  const std::vector<ArrowMessage> messages_;
  size_t message_ = 0;
  int64_t used_ = 0;  // of the message
  int64_t position_ = 0;
};

arrow::ipc::IpcReadOptions Options(const arrow::Schema& schema, const std::vector<std::string>& columns,
                                   arrow::MemoryPool* memory) {
  auto options = arrow::ipc::IpcReadOptions::Defaults();
  options.memory_pool = memory;
  options.use_threads = false;
  options.ensure_alignment = arrow::ipc::Alignment::kDataTypeSpecificAlignment;
  for (int i = 0; i < schema.num_fields(); ++i) {
    const std::string& name = schema.field(i)->name();
    if (std::find(columns.begin(), columns.end(), name) != columns.end()) options.included_fields.push_back(i);
  }
  // None would mean all.
  if (options.included_fields.empty() && schema.num_fields() > 0) options.included_fields.push_back(0);
  return options;
}

class SliceReader : public RowReader {
 public:
  SliceReader(std::shared_ptr<arrow::RecordBatch> rows, int64_t begin, int64_t end, int64_t batch_rows)
      : rows_(std::move(rows)), row_(begin), end_(end), batch_rows_(batch_rows) {}

  Result<std::shared_ptr<arrow::RecordBatch>> Next() override {
    if (row_ >= end_) return std::shared_ptr<arrow::RecordBatch>();
    auto batch = rows_->Slice(row_, std::min(batch_rows_, end_ - row_));
    row_ += batch->num_rows();
    return batch;
  }

 private:
  const std::shared_ptr<arrow::RecordBatch> rows_;
  int64_t row_;
  const int64_t end_;
  const int64_t batch_rows_;
};

Result<std::shared_ptr<arrow::Schema>> ReadSchema(const std::shared_ptr<arrow::io::RandomAccessFile>& file,
                                                  const std::vector<ArrowMessage>& messages, bool is_stream,
                                                  const std::string& path, int64_t* batches) {
  *batches = std::count_if(messages.begin(), messages.end(),
                           [](const ArrowMessage& m) { return m.kind == ArrowMessageKind::kRecordBatch; });
  if (is_stream) {
    if (messages.empty() || messages.front().kind != ArrowMessageKind::kSchema) {
      return DataLoss(fmt::format("{}: expected a schema as the stream's first message, found none", path));
    }
    auto stream = std::make_shared<MessageStream>(file, std::vector<ArrowMessage>{messages.front()});
    WEIR_ASSIGN_OR_RETURN(auto reader, FromArrow(arrow::ipc::RecordBatchStreamReader::Open(std::move(stream)), path));
    return reader->schema();
  }
  WEIR_ASSIGN_OR_RETURN(auto reader, FromArrow(arrow::ipc::RecordBatchFileReader::Open(file), path));
  if (reader->num_record_batches() != *batches) {
    return DataLoss(fmt::format("{}: expected {} record batches, as its footer says, found {} in the file", path,
                                reader->num_record_batches(), *batches));
  }
  return reader->schema();
}

}  // namespace

Result<std::unique_ptr<LakeFile>> ArrowFile::Open(const LakeEntry& entry) {
  std::unique_ptr<ArrowFile> opened(new ArrowFile(entry));
  BoundedMemory memory(kArrowBatchBytesMax);
  try {
    WEIR_ASSIGN_OR_RETURN(auto plain, OpenEntry(entry));
    WEIR_ASSIGN_OR_RETURN(std::shared_ptr<arrow::io::RandomAccessFile> file,
                          FromArrow(BoundedFile::Make(std::move(plain), &memory), entry.path));
    WEIR_ASSIGN_OR_RETURN(auto start, FromArrow(file->ReadAt(0, kFirstMessage), entry.path));
    WEIR_ASSIGN_OR_RETURN(opened->is_stream_, IsStream(entry.path, std::string_view(*start)));
    const int64_t first = opened->is_stream_ ? 0 : kFirstMessage;
    auto messages = ListArrowMessages(file.get(), first, static_cast<int64_t>(entry.bytes));
    if (!messages.ok()) return messages.status().Wrap(entry.path);
    int64_t batches = 0;
    WEIR_ASSIGN_OR_RETURN(auto schema, ReadSchema(file, *messages, opened->is_stream_, entry.path, &batches));
    std::vector<RowGroup> groups;
    for (const ArrowMessage& message : *messages) {
      if (message.kind == ArrowMessageKind::kRecordBatch) groups.push_back({message.rows});
    }
    if (opened->is_stream_) opened->messages_ = std::move(messages).value();
    // What others noted in the schema is none of ours.
    WEIR_RETURN_IF_ERROR(opened->SetContents(WithoutMetadata(*schema), std::move(groups)));
  } catch (const std::exception& error) {
    return DataLoss(fmt::format("{}: {}", entry.path, error.what()));
  }
  return std::unique_ptr<LakeFile>(std::move(opened));
}

Result<std::shared_ptr<arrow::RecordBatch>> ArrowFile::ReadBatch(int group,
                                                                 const std::vector<std::string>& columns) const {
  const std::string place = fmt::format("{}: record batch {}", path(), group);
  auto memory = std::make_shared<BoundedMemory>(kArrowBatchBytesMax);
  const auto options = Options(*schema(), columns, memory.get());
  WEIR_ASSIGN_OR_RETURN(auto plain, OpenEntry(entry()));
  WEIR_ASSIGN_OR_RETURN(std::shared_ptr<arrow::io::RandomAccessFile> file,
                        FromArrow(BoundedFile::Make(std::move(plain), memory.get()), place));
  std::shared_ptr<arrow::RecordBatch> batch;
  if (is_stream_) {
    std::vector<ArrowMessage> needed;
    int batches = 0;
    for (const ArrowMessage& message : messages_) {
      const bool is_batch = message.kind == ArrowMessageKind::kRecordBatch;
      if (!is_batch || batches == group) needed.push_back(message);
      if (is_batch && batches++ == group) break;
    }
    auto stream = std::make_shared<MessageStream>(file, std::move(needed));
    WEIR_ASSIGN_OR_RETURN(auto reader,
                          FromArrow(arrow::ipc::RecordBatchStreamReader::Open(std::move(stream), options), place));
    WEIR_RETURN_IF_ERROR(FromArrow(reader->ReadNext(&batch), place));
  } else {
    WEIR_ASSIGN_OR_RETURN(auto reader, FromArrow(arrow::ipc::RecordBatchFileReader::Open(file, options), place));
    WEIR_ASSIGN_OR_RETURN(batch, FromArrow(reader->ReadRecordBatch(group), place));
  }
  const int64_t rows = row_groups()[group].rows;
  if (batch == nullptr || batch->num_rows() != rows) {
    return DataLoss(
        fmt::format("{}: expected {} rows, found {}", place, rows, batch == nullptr ? 0 : batch->num_rows()));
  }
  WEIR_RETURN_IF_ERROR(FromArrow(batch->ValidateFull(), place));
  return KeepMemory(*batch, memory);
}

Result<std::unique_ptr<RowReader>> ArrowFile::Read(int group, int64_t begin, int64_t end,
                                                   const std::vector<std::string>& columns, int64_t batch_rows) const {
  std::shared_ptr<arrow::RecordBatch> batch;
  if (group == last_group_ && columns == last_columns_) batch = last_.lock();
  if (batch == nullptr) {
    try {
      WEIR_ASSIGN_OR_RETURN(batch, ReadBatch(group, columns));
    } catch (const std::exception& error) {
      return DataLoss(fmt::format("{}: record batch {}: {}", path(), group, error.what()));
    }
    last_ = batch;
    last_group_ = group;
    last_columns_ = columns;
  }
  return std::unique_ptr<RowReader>(std::make_unique<SliceReader>(std::move(batch), begin, end, batch_rows));
}

}  // namespace weir
