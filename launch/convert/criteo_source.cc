#include "launch/convert/criteo_source.h"

#include <string>
#include <utility>

#include <arrow/record_batch.h>
#include <arrow/type.h>
#include <fmt/format.h>

#include "data_loader/lake/arrow_status.h"

namespace weir {
namespace {

constexpr char kWhat[] = "decoding Criteo lines";

}  // namespace

CriteoSource::CriteoSource(std::vector<LakeEntry> files, bool labelled, BadLines* bad)
    : labelled_(labelled), lines_(std::move(files), bad), integers_(kCriteoIntegers), ids_(kCriteoIds) {
  arrow::FieldVector fields;
  if (labelled) fields.push_back(arrow::field("label", arrow::int32(), /*nullable=*/false));
  for (int i = 1; i <= kCriteoIntegers; ++i) fields.push_back(arrow::field(fmt::format("I{}", i), arrow::int32()));
  for (int i = 1; i <= kCriteoIds; ++i) fields.push_back(arrow::field(fmt::format("C{}", i), arrow::uint32()));
  schema_ = arrow::schema(std::move(fields));
}

Status CriteoSource::Reserve() {
  WEIR_RETURN_IF_ERROR(FromArrow(label_.Reserve(kSourceBatchRows), kWhat));
  for (auto& builder : integers_) WEIR_RETURN_IF_ERROR(FromArrow(builder.Reserve(kSourceBatchRows), kWhat));
  for (auto& builder : ids_) WEIR_RETURN_IF_ERROR(FromArrow(builder.Reserve(kSourceBatchRows), kWhat));
  return Status();
}

void CriteoSource::Append(const CriteoRow& row) {
  if (labelled_) label_.UnsafeAppend(row.label);
  for (int i = 0; i < kCriteoIntegers; ++i) {
    row.has_integer(i) ? integers_[i].UnsafeAppend(row.integers[i]) : integers_[i].UnsafeAppendNull();
  }
  for (int i = 0; i < kCriteoIds; ++i) {
    row.has_id(i) ? ids_[i].UnsafeAppend(row.ids[i]) : ids_[i].UnsafeAppendNull();
  }
}

Result<std::shared_ptr<arrow::RecordBatch>> CriteoSource::Finish(int64_t rows) {
  arrow::ArrayVector columns;
  auto add = [&](arrow::ArrayBuilder* builder) -> Status {
    WEIR_ASSIGN_OR_RETURN(std::shared_ptr<arrow::Array> column, FromArrow(builder->Finish(), kWhat));
    columns.push_back(std::move(column));
    return Status();
  };
  if (labelled_) WEIR_RETURN_IF_ERROR(add(&label_));
  for (auto& builder : integers_) WEIR_RETURN_IF_ERROR(add(&builder));
  for (auto& builder : ids_) WEIR_RETURN_IF_ERROR(add(&builder));
  return arrow::RecordBatch::Make(schema_, rows, std::move(columns));
}

Result<std::shared_ptr<arrow::RecordBatch>> CriteoSource::Next() {
  WEIR_RETURN_IF_ERROR(Reserve());
  int64_t rows = 0;
  std::string_view line;
  CriteoRow row;
  while (rows < kSourceBatchRows) {
    WEIR_ASSIGN_OR_RETURN(const bool found, lines_.Next(&line));
    if (!found) break;
    if (const LineFault fault = DecodeCriteoLine(line, labelled_, &row); fault.is_fault()) {
      WEIR_RETURN_IF_ERROR(lines_.CountBad(fault));
      continue;
    }
    Append(row);
    ++rows;
  }
  if (rows == 0) return std::shared_ptr<arrow::RecordBatch>();
  return Finish(rows);
}

}  // namespace weir
