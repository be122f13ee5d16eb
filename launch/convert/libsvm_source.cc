#include "launch/convert/libsvm_source.h"

#include <string>
#include <utility>

#include <arrow/array.h>
#include <arrow/buffer.h>
#include <arrow/record_batch.h>
#include <arrow/type.h>

namespace weir {
namespace {

// Pairs after which a batch ends, however few its rows: long rows must not fill the memory.
constexpr int64_t kBatchPairs = 4 << 20;

// Takes the memory of *values.
template <typename Type, typename Value>
std::shared_ptr<arrow::Array> ToArray(std::vector<Value>* values) {
  const auto n = static_cast<int64_t>(values->size());
  using Array = typename arrow::TypeTraits<Type>::ArrayType;
  return std::make_shared<Array>(n, arrow::Buffer::FromVector(std::exchange(*values, {})));
}

std::shared_ptr<arrow::Array> ToLists(std::shared_ptr<arrow::Buffer> offsets, int64_t rows,
                                      std::shared_ptr<arrow::Array> elements) {
  return std::make_shared<arrow::ListArray>(arrow::list(elements->type()), rows, std::move(offsets), elements);
}

Result<std::optional<LibsvmKind>> DetectKind(const std::vector<LakeEntry>& files) {
  BadLines none(0);
  LakeLines lines(files, &none);
  std::string_view line;
  while (true) {
    WEIR_ASSIGN_OR_RETURN(const bool found, lines.Next(&line));
    if (!found) return std::optional<LibsvmKind>();
    if (const auto kind = DetectLibsvmKind(line); kind.has_value()) return kind;
  }
}

}  // namespace

Result<std::unique_ptr<LibsvmSource>> LibsvmSource::Open(const std::vector<LakeEntry>& files,
                                                         std::optional<LibsvmKind> kind, BadLines* bad) {
  if (!kind.has_value()) {
    WEIR_ASSIGN_OR_RETURN(kind, DetectKind(files));
  }
  return std::unique_ptr<LibsvmSource>(new LibsvmSource(files, kind.value_or(LibsvmKind::kLibsvm), bad));
}

LibsvmSource::LibsvmSource(const std::vector<LakeEntry>& files, LibsvmKind kind, BadLines* bad)
    : kind_(kind), lines_(files, bad) {
  arrow::FieldVector fields = {arrow::field("label", arrow::float32(), /*nullable=*/false)};
  if (kind == LibsvmKind::kLibffm) fields.push_back(arrow::field("fields", arrow::list(arrow::int64())));
  fields.push_back(arrow::field("indices", arrow::list(arrow::int64())));
  fields.push_back(arrow::field("values", arrow::list(arrow::float32())));
  schema_ = arrow::schema(std::move(fields));
}

Result<std::shared_ptr<arrow::RecordBatch>> LibsvmSource::Next() {
  rows_.Clear();
  std::string_view line;
  while (rows_.size() < kSourceBatchRows && rows_.offsets.back() < kBatchPairs) {
    WEIR_ASSIGN_OR_RETURN(const bool found, lines_.Next(&line));
    if (!found) break;
    if (!IsLibsvmRow(line)) continue;
    if (const LineFault fault = DecodeLibsvmLine(line, kind_, &rows_); fault.is_fault()) {
      WEIR_RETURN_IF_ERROR(lines_.CountBad(fault));
    }
  }
  const int64_t rows = rows_.size();
  if (rows == 0) return std::shared_ptr<arrow::RecordBatch>();
  // A line's pairs are far fewer than 2^31 (TextLines::kLineBytesMax), and so are the batch's.
  auto offsets = arrow::Buffer::FromVector(std::vector<int32_t>(rows_.offsets.begin(), rows_.offsets.end()));
  arrow::ArrayVector columns = {ToArray<arrow::FloatType>(&rows_.labels)};
  if (kind_ == LibsvmKind::kLibffm) {
    columns.push_back(ToLists(offsets, rows, ToArray<arrow::Int64Type>(&rows_.fields)));
  }
  columns.push_back(ToLists(offsets, rows, ToArray<arrow::Int64Type>(&rows_.indices)));
  columns.push_back(ToLists(offsets, rows, ToArray<arrow::FloatType>(&rows_.values)));
  return arrow::RecordBatch::Make(schema_, rows, std::move(columns));
}

}  // namespace weir
