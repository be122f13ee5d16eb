#include "checkpoint/row_file_writer.h"

#include <bit>
#include <cstring>
#include <utility>

#include <arrow/array/data.h>
#include <arrow/buffer.h>
#include <arrow/ipc/writer.h>
#include <arrow/record_batch.h>
#include <arrow/type.h>

#include "checkpoint/arrow_io.h"

namespace weir {
namespace {

std::shared_ptr<arrow::ArrayData> View(const std::shared_ptr<arrow::DataType>& type, int64_t length, const void* data,
                                       int64_t num_bytes) {
  auto buffer = std::make_shared<arrow::Buffer>(static_cast<const uint8_t*>(data), num_bytes);
  return arrow::ArrayData::Make(type, length, {nullptr, std::move(buffer)}, 0);
}

}  // namespace

struct RowFileWriter::Stream {
  std::shared_ptr<arrow::Schema> schema;
  std::shared_ptr<FileSink> sink;
  std::shared_ptr<arrow::ipc::RecordBatchWriter> writer;
};

RowFileWriter::RowFileWriter(RowFileHeader header, std::string name, std::unique_ptr<Stream> stream)
    : header_(std::move(header)),
      name_(std::move(name)),
      columns_(ValueColumns(header_.layout)),
      stream_(std::move(stream)),
      values_(columns_.size()) {}

RowFileWriter::~RowFileWriter() = default;

Result<std::unique_ptr<RowFileWriter>> RowFileWriter::Create(FileSystem* file_system, const std::string& folder,
                                                             const std::string& name, RowFileHeader header) {
  auto stream = std::make_unique<Stream>();
  stream->schema = MakeRowSchema(header);
  WEIR_ASSIGN_OR_RETURN(stream->sink, FileSink::Create(file_system, JoinPath(folder, name)));
  auto writer = arrow::ipc::MakeFileWriter(stream->sink.get(), stream->schema);
  WEIR_RETURN_IF_ERROR(stream->sink->Explain(writer.status()));
  stream->writer = *std::move(writer);
  return std::unique_ptr<RowFileWriter>(new RowFileWriter(std::move(header), name, std::move(stream)));
}

// From rows of all columns to one array a column. Rows of weights alone are written as they lie.
void RowFileWriter::SplitColumns(const RowBlock& block) {
  const size_t num_columns = columns_.size();
  std::vector<float*> to(num_columns);
  for (size_t c = 0; c < num_columns; ++c) {
    values_[c].resize(block.num_rows * columns_[c].width);
    to[c] = values_[c].data();
  }
  const float* from = block.values;
  for (int64_t row = 0; row < block.num_rows; ++row) {
    for (size_t c = 0; c < num_columns; ++c) {
      const int width = columns_[c].width;
      if (width == 1) {
        *to[c] = *from;
      } else {
        std::memcpy(to[c], from, width * sizeof(float));
      }
      to[c] += width;
      from += width;
    }
  }
}

// The upper half of each, which is all of it.
void RowFileWriter::NarrowWeights(const float* weights, int64_t size) {
  bfloat16_.resize(size);
  uint32_t lost = 0;
  for (int64_t i = 0; i < size; ++i) {
    const uint32_t bits = std::bit_cast<uint32_t>(weights[i]);
    bfloat16_[i] = static_cast<uint16_t>(bits >> 16);
    lost |= bits & 0xffff;
  }
  CHECK_EQ(lost, 0u) << "table " << header_.table << ": weights that bfloat16 does not hold";
}

Status RowFileWriter::Append(const RowBlock& block) {
  CHECK_LE(block.num_rows, kRowsPerBatchMax) << header_.table;
  const int64_t rows = block.num_rows;
  if (rows == 0) return Status();
  const bool as_they_lie = columns_.size() == 1;
  if (!as_they_lie) SplitColumns(block);
  std::vector<std::shared_ptr<arrow::ArrayData>> arrays = {
      View(arrow::uint64(), rows, block.keys, rows * sizeof(uint64_t)),
      View(arrow::int64(), rows, block.last_steps, rows * sizeof(int64_t)),
      View(arrow::uint64(), rows, block.counts, rows * sizeof(uint64_t))};
  for (size_t c = 0; c < columns_.size(); ++c) {
    const int64_t items = rows * columns_[c].width;
    const float* data = as_they_lie ? block.values : values_[c].data();
    auto item = View(arrow::float32(), items, data, items * sizeof(float));
    if (c == 0 && header_.layout.weight_type == TableConfig::BFLOAT16) {
      NarrowWeights(data, items);
      item = View(arrow::uint16(), items, bfloat16_.data(), items * sizeof(uint16_t));
    }
    const auto& type = stream_->schema->field(kFirstValueColumn + static_cast<int>(c))->type();
    arrays.push_back(arrow::ArrayData::Make(type, rows, {nullptr}, {std::move(item)}, 0));
  }
  auto batch = arrow::RecordBatch::Make(stream_->schema, rows, std::move(arrays));
  WEIR_RETURN_IF_ERROR(stream_->sink->Explain(stream_->writer->WriteRecordBatch(*batch)));
  rows_ += rows;
  return Status();
}

Result<DataFile> RowFileWriter::Finish() {
  WEIR_RETURN_IF_ERROR(stream_->sink->Explain(stream_->writer->Close()));
  DataFile entry;
  entry.set_name(name_);
  entry.set_kind(DataFile::ROWS);
  entry.set_table(header_.table);
  entry.set_shard_begin(header_.shards.begin);
  entry.set_shard_end(header_.shards.end);
  entry.set_rows(rows_);
  WEIR_RETURN_IF_ERROR(stream_->sink->Finish(&entry));
  return entry;
}

}  // namespace weir
