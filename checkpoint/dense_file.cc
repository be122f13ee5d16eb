#include "checkpoint/dense_file.h"

#include <memory>
#include <set>
#include <utility>

#include <arrow/array.h>
#include <arrow/builder.h>
#include <arrow/ipc/reader.h>
#include <arrow/ipc/writer.h>
#include <arrow/record_batch.h>
#include <arrow/type.h>
#include <arrow/util/key_value_metadata.h>
#include <fmt/format.h>

#include "checkpoint/arrow_io.h"

namespace weir {
namespace {

constexpr char kVersionKey[] = "weir.format_version";

std::shared_ptr<arrow::Schema> DenseSchema() {
  return arrow::schema(
      {arrow::field("name", arrow::utf8(), false),
       arrow::field("shape", arrow::list(arrow::field("item", arrow::int64(), false)), false),
       arrow::field("values", arrow::large_list(arrow::field("item", arrow::float32(), false)), false)},
      arrow::key_value_metadata({kVersionKey}, {std::to_string(kCheckpointFormatVersion)}));
}

// What is wrong with a tensor by itself, or empty.
std::string TensorProblem(const DenseTensor& tensor, std::set<std::string>* names) {
  if (tensor.name.empty()) return "a tensor without a name";
  if (!names->insert(tensor.name).second) return fmt::format("tensor \"{}\" stands twice", tensor.name);
  int64_t size = 1;
  for (int64_t extent : tensor.shape) {
    if (extent < 0 || __builtin_mul_overflow(size, extent, &size)) {
      return fmt::format("tensor \"{}\": impossible shape [{}]", tensor.name, fmt::join(tensor.shape, ", "));
    }
  }
  if (size != static_cast<int64_t>(tensor.values.size())) {
    return fmt::format("tensor \"{}\": expected {} values by its shape [{}], found {}", tensor.name, size,
                       fmt::join(tensor.shape, ", "), tensor.values.size());
  }
  return "";
}

template <typename T>
std::shared_ptr<arrow::Buffer> View(const std::vector<T>& values) {
  return std::make_shared<arrow::Buffer>(reinterpret_cast<const uint8_t*>(values.data()), values.size() * sizeof(T));
}

// A batch of one row that views the tensor's memory.
arrow::Status WriteTensor(const DenseTensor& tensor, const std::shared_ptr<arrow::Schema>& schema,
                          arrow::ipc::RecordBatchWriter* writer) {
  const std::vector<int32_t> name_offsets = {0, static_cast<int32_t>(tensor.name.size())};
  const std::vector<int32_t> shape_offsets = {0, static_cast<int32_t>(tensor.shape.size())};
  const std::vector<int64_t> value_offsets = {0, static_cast<int64_t>(tensor.values.size())};
  auto name_bytes = std::make_shared<arrow::Buffer>(reinterpret_cast<const uint8_t*>(tensor.name.data()),
                                                    static_cast<int64_t>(tensor.name.size()));
  auto name = arrow::ArrayData::Make(arrow::utf8(), 1, {nullptr, View(name_offsets), name_bytes}, 0);
  auto shape_item = arrow::ArrayData::Make(arrow::int64(), static_cast<int64_t>(tensor.shape.size()),
                                           {nullptr, View(tensor.shape)}, 0);
  auto shape = arrow::ArrayData::Make(schema->field(1)->type(), 1, {nullptr, View(shape_offsets)}, {shape_item}, 0);
  auto value_item = arrow::ArrayData::Make(arrow::float32(), static_cast<int64_t>(tensor.values.size()),
                                           {nullptr, View(tensor.values)}, 0);
  auto values = arrow::ArrayData::Make(schema->field(2)->type(), 1, {nullptr, View(value_offsets)}, {value_item}, 0);
  auto batch = arrow::RecordBatch::Make(schema, 1, std::vector<std::shared_ptr<arrow::ArrayData>>{name, shape, values});
  return writer->WriteRecordBatch(*batch);
}

arrow::Status WriteTensors(std::span<const DenseTensor> tensors, FileSink* sink) {
  std::shared_ptr<arrow::Schema> schema = DenseSchema();
  ARROW_ASSIGN_OR_RAISE(auto writer, arrow::ipc::MakeFileWriter(sink, schema));
  for (const DenseTensor& tensor : tensors) ARROW_RETURN_NOT_OK(WriteTensor(tensor, schema, writer.get()));
  return writer->Close();
}

arrow::Status ReadTensors(const std::shared_ptr<arrow::io::RandomAccessFile>& file, std::vector<DenseTensor>* tensors) {
  ARROW_ASSIGN_OR_RAISE(auto reader, arrow::ipc::RecordBatchFileReader::Open(file));
  std::shared_ptr<arrow::Schema> expected = DenseSchema();
  if (!reader->schema()->Equals(*expected, /*check_metadata=*/true)) {
    return arrow::Status::Invalid("expected the schema\n", expected->ToString(true), "\nfound\n",
                                  reader->schema()->ToString(true));
  }
  for (int i = 0; i < reader->num_record_batches(); ++i) {
    ARROW_ASSIGN_OR_RAISE(auto batch, reader->ReadRecordBatch(i));
    ARROW_RETURN_NOT_OK(batch->ValidateFull());
    if (batch->num_rows() != 1) return arrow::Status::Invalid("expected 1 tensor a batch, found ", batch->num_rows());
    for (const auto& column : batch->columns()) {
      if (column->null_count() != 0) return arrow::Status::Invalid("expected no null in batch ", i);
    }
    const auto& shapes = static_cast<const arrow::ListArray&>(*batch->column(1));
    const auto& values = static_cast<const arrow::LargeListArray&>(*batch->column(2));
    const auto& shape_items = static_cast<const arrow::Int64Array&>(*shapes.values());
    const auto& value_items = static_cast<const arrow::FloatArray&>(*values.values());
    if (shape_items.null_count() != 0 || value_items.null_count() != 0) {
      return arrow::Status::Invalid("expected no null in batch ", i);
    }
    DenseTensor& tensor = tensors->emplace_back();
    tensor.name = static_cast<const arrow::StringArray&>(*batch->column(0)).GetString(0);
    const int64_t* extents = shape_items.raw_values() + shapes.value_offset(0);
    tensor.shape.assign(extents, extents + shapes.value_length(0));
    const float* data = value_items.raw_values() + values.value_offset(0);
    tensor.values.assign(data, data + values.value_length(0));
  }
  return arrow::Status::OK();
}

}  // namespace

Result<DataFile> WriteDenseFile(FileSystem* file_system, const std::string& folder,
                                std::span<const DenseTensor> tensors) {
  std::string path = JoinPath(folder, kDenseFileName);
  std::set<std::string> names;
  for (const DenseTensor& tensor : tensors) {
    std::string problem = TensorProblem(tensor, &names);
    if (!problem.empty()) return InvalidArgument(fmt::format("writing {}: {}", path, problem));
  }
  WEIR_ASSIGN_OR_RETURN(std::shared_ptr<FileSink> sink, FileSink::Create(file_system, path));
  WEIR_RETURN_IF_ERROR(sink->Explain(WriteTensors(tensors, sink.get())));
  DataFile entry;
  entry.set_name(kDenseFileName);
  entry.set_kind(DataFile::DENSE);
  WEIR_RETURN_IF_ERROR(sink->Finish(&entry));
  return entry;
}

Result<std::vector<DenseTensor>> ReadDenseFile(FileSystem* file_system, const std::string& folder,
                                               const DataFile& entry) {
  std::string path = JoinPath(folder, entry.name());
  WEIR_ASSIGN_OR_RETURN(auto file, OpenVerified(file_system, folder, entry));
  std::vector<DenseTensor> tensors;
  if (arrow::Status status = ReadTensors(file, &tensors); !status.ok()) return DecodingError(path, status);
  std::set<std::string> names;
  for (const DenseTensor& tensor : tensors) {
    std::string problem = TensorProblem(tensor, &names);
    if (!problem.empty()) return DataLoss(fmt::format("reading {}: {}", path, problem));
  }
  return tensors;
}

}  // namespace weir
