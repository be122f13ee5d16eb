#include "checkpoint/row_file_reader.h"

#include <utility>

#include <arrow/array.h>
#include <arrow/ipc/reader.h>
#include <arrow/record_batch.h>
#include <arrow/type.h>
#include <fmt/format.h>

#include "checkpoint/arrow_io.h"
#include "embeddings/bfloat16.h"
#include "embeddings/table_set.h"

namespace weir {

struct RowFileReader::Stream {
  std::shared_ptr<arrow::ipc::RecordBatchFileReader> reader;
  std::shared_ptr<arrow::RecordBatch> batch;
};

RowFileReader::RowFileReader(std::string path, RowFileHeader header, uint64_t rows_expected,
                             std::unique_ptr<Stream> stream)
    : path_(std::move(path)), header_(std::move(header)), rows_expected_(rows_expected), stream_(std::move(stream)) {}

RowFileReader::~RowFileReader() = default;

Result<std::unique_ptr<RowFileReader>> RowFileReader::Open(FileSystem* file_system, const std::string& folder,
                                                           const DataFile& entry, RowFileHeader header) {
  std::string path = JoinPath(folder, entry.name());
  header.table = entry.table();
  header.shards = {entry.shard_begin(), entry.shard_end()};
  WEIR_ASSIGN_OR_RETURN(auto file, OpenVerified(file_system, folder, entry));
  auto options = arrow::ipc::IpcReadOptions::Defaults();
  options.use_threads = false;
  auto reader = arrow::ipc::RecordBatchFileReader::Open(file, options);
  if (!reader.ok()) return DecodingError(path, reader.status());
  auto stream = std::make_unique<Stream>();
  stream->reader = *std::move(reader);
  WEIR_RETURN_IF_ERROR(CheckRowSchema(path, *stream->reader->schema(), header));
  return std::unique_ptr<RowFileReader>(new RowFileReader(path, std::move(header), entry.rows(), std::move(stream)));
}

// Points at the columns of the batch, whose schema is known to be right; its lengths are not.
Status RowFileReader::View(RowBatch* rows) {
  const arrow::RecordBatch& batch = *stream_->batch;
  if (arrow::Status status = batch.Validate(); !status.ok()) return DecodingError(path_, status);
  if (batch.num_rows() > kRowsPerBatchMax) {
    return DataLoss(
        fmt::format("{}: expected at most {} rows a batch, found {}", path_, kRowsPerBatchMax, batch.num_rows()));
  }
  rows->num_rows = batch.num_rows();
  for (int i = 0; i < batch.num_columns(); ++i) {
    if (batch.column(i)->null_count() != 0) {
      return DataLoss(fmt::format("{}: expected no null in column {}", path_, batch.column_name(i)));
    }
  }
  rows->keys = static_cast<const arrow::UInt64Array&>(*batch.column(kKeyColumn)).raw_values();
  rows->last_steps = static_cast<const arrow::Int64Array&>(*batch.column(kLastStepColumn)).raw_values();
  rows->counts = static_cast<const arrow::UInt64Array&>(*batch.column(kCountColumn)).raw_values();
  for (int i = kFirstValueColumn; i < batch.num_columns(); ++i) {
    const auto& lists = static_cast<const arrow::FixedSizeListArray&>(*batch.column(i));
    const arrow::Array& items = *lists.values();
    if (items.null_count() != 0) {
      return DataLoss(fmt::format("{}: expected no null in column {}", path_, batch.column_name(i)));
    }
    if (items.type_id() == arrow::Type::UINT16) {
      const uint16_t* halves = static_cast<const arrow::UInt16Array&>(items).raw_values() + lists.value_offset(0);
      weights_.resize(rows->num_rows * lists.value_length());
      for (size_t at = 0; at < weights_.size(); ++at) weights_[at] = Bfloat16ToFloat(halves[at]);
      rows->columns.push_back(weights_.data());
    } else {
      rows->columns.push_back(static_cast<const arrow::FloatArray&>(items).raw_values() + lists.value_offset(0));
    }
  }
  return Status();
}

Status RowFileReader::CheckRows(const RowBatch& rows) {
  for (int64_t i = 0; i < rows.num_rows; ++i) {
    const uint64_t key = rows.keys[i];
    const int shard = VirtualShard(key, header_.virtual_shards);
    if (shard < header_.shards.begin || shard >= header_.shards.end) {
      return DataLoss(
          fmt::format("{}: table \"{}\": expected keys of virtual shards [{}, {}), found key {} of shard {}", path_,
                      header_.table, header_.shards.begin, header_.shards.end, key, shard));
    }
    if (shard < last_shard_ || (shard == last_shard_ && key <= last_key_)) {
      return DataLoss(
          fmt::format("{}: table \"{}\": expected ascending keys in virtual shard {}, found {} of shard {} "
                      "after {} of shard {}",
                      path_, header_.table, shard, key, shard, last_key_, last_shard_));
    }
    if (rows.last_steps[i] < 0) {
      return DataLoss(fmt::format("{}: table \"{}\", key {}: expected a last step of at least 0, found {}", path_,
                                  header_.table, key, rows.last_steps[i]));
    }
    last_shard_ = shard;
    last_key_ = key;
  }
  return Status();
}

Result<RowBatch> RowFileReader::Next() {
  while (next_batch_ < stream_->reader->num_record_batches()) {
    stream_->batch.reset();  // before the next one takes memory
    auto batch = stream_->reader->ReadRecordBatch(next_batch_++);
    if (!batch.ok()) return DecodingError(path_, batch.status());
    stream_->batch = *std::move(batch);
    if (stream_->batch->num_rows() == 0) continue;
    RowBatch rows;
    WEIR_RETURN_IF_ERROR(View(&rows));
    WEIR_RETURN_IF_ERROR(CheckRows(rows));
    rows_read_ += rows.num_rows;
    return rows;
  }
  if (rows_read_ != rows_expected_) {
    return DataLoss(fmt::format("{}: expected {} rows, found {}", path_, rows_expected_, rows_read_));
  }
  return RowBatch();
}

}  // namespace weir
