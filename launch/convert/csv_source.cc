#include "launch/convert/csv_source.h"

#include <optional>
#include <utility>

#include <arrow/array.h>
#include <arrow/array/builder_primitive.h>
#include <arrow/record_batch.h>
#include <arrow/type.h>
#include <fmt/format.h>

#include "base/number_text.h"
#include "data_loader/columns/cells.h"
#include "data_loader/columns/text_type.h"
#include "data_loader/lake/arrow_status.h"
#include "launch/read_ahead.h"
#include "launch/report/progress_line.h"

namespace weir {
namespace {

constexpr char kWhat[] = "converting CSV";

Result<std::shared_ptr<arrow::DataType>> DeclaredType(const std::string& column, const std::string& name) {
  for (const auto& type : {arrow::int64(), arrow::uint64(), arrow::float64(), arrow::utf8()}) {
    if (type->ToString() == name) return type;
  }
  return InvalidArgument(
      fmt::format("--types: column {}: expected int64, uint64, double or string, found \"{}\"", column, name));
}

std::shared_ptr<arrow::DataType> InferredType(TextType::Kind kind) {
  switch (kind) {
    case TextType::Kind::kInteger:
      return arrow::int64();
    case TextType::Kind::kUnsigned:
      return arrow::uint64();
    case TextType::Kind::kNumber:
      return arrow::float64();
    default:
      return arrow::utf8();
  }
}

// What the columns hold, [columns], over all rows; those that are declared are not looked at.
Result<std::vector<TextType>> SeeAll(const LakeFiles& files, const std::vector<bool>& declared) {
  std::vector<TextType> types(declared.size());
  LakeRows rows(&files, WholeRowGroups(files), kSourceBatchRows);
  int64_t rows_all = 0, rows_done = 0;
  for (const auto& file : files) rows_all += file->rows();
  ProgressLine progress;
  const auto next = [&]() -> Result<std::optional<std::shared_ptr<arrow::RecordBatch>>> {
    WEIR_ASSIGN_OR_RETURN(std::shared_ptr<arrow::RecordBatch> batch, rows.Next());
    if (batch == nullptr) return std::optional<std::shared_ptr<arrow::RecordBatch>>();
    return std::optional(std::move(batch));
  };
  const auto see = [&](const std::shared_ptr<arrow::RecordBatch>& batch) -> Status {
    for (size_t c = 0; c < types.size(); ++c) {
      if (declared[c]) continue;
      const auto& column = static_cast<const arrow::StringArray&>(*batch->column(static_cast<int>(c)));
      for (int64_t i = 0; i < column.length(); ++i) {
        if (column.IsValid(i)) types[c].See(column.GetView(i));
      }
    }
    rows_done += batch->num_rows();
    progress.Update(rows_done, static_cast<double>(rows_done) / static_cast<double>(rows_all));
    return Status();
  };
  WEIR_RETURN_IF_ERROR(ReadAhead<std::shared_ptr<arrow::RecordBatch>>(next, see));
  return types;
}

bool Parse(std::string_view text, int64_t* value) {
  uint64_t bits = 0;
  if (!ParseInteger(text, &bits) || (!text.starts_with('-') && bits > static_cast<uint64_t>(INT64_MAX))) return false;
  *value = static_cast<int64_t>(bits);
  return true;
}
bool Parse(std::string_view text, uint64_t* value) { return ParseInteger(text, value) && !text.starts_with('-'); }
bool Parse(std::string_view text, double* value) { return ParseNumber(text, value); }

// The column with its values parsed; sets *bad to the row of the first value that cannot be.
template <typename Type>
Result<std::shared_ptr<arrow::Array>> ParseColumn(const arrow::StringArray& column, int64_t* bad) {
  typename arrow::TypeTraits<Type>::BuilderType builder;
  WEIR_RETURN_IF_ERROR(FromArrow(builder.Reserve(column.length()), kWhat));
  for (int64_t i = 0; i < column.length(); ++i) {
    typename Type::c_type value{};
    if (column.IsNull(i)) {
      builder.UnsafeAppendNull();
    } else if (Parse(column.GetView(i), &value)) {
      builder.UnsafeAppend(value);
    } else {
      *bad = i;
      break;
    }
  }
  return FromArrow(builder.Finish(), kWhat);
}

Result<std::shared_ptr<arrow::Array>> ToType(const std::shared_ptr<arrow::Array>& column, const arrow::DataType& type,
                                             int64_t* bad) {
  const auto& text = static_cast<const arrow::StringArray&>(*column);
  switch (type.id()) {
    case arrow::Type::INT64:
      return ParseColumn<arrow::Int64Type>(text, bad);
    case arrow::Type::UINT64:
      return ParseColumn<arrow::UInt64Type>(text, bad);
    case arrow::Type::DOUBLE:
      return ParseColumn<arrow::DoubleType>(text, bad);
    default:
      return column;
  }
}

}  // namespace

CsvSource::CsvSource(LakeFiles files)
    : files_(std::move(files)), rows_(&files_, WholeRowGroups(files_), kSourceBatchRows) {
  for (const auto& file : files_) rows_all_ += file->rows();
}

Result<std::unique_ptr<CsvSource>> CsvSource::Open(const DataConfig& config, const SourceConfig& source,
                                                   const std::map<std::string, std::string>& types) {
  WEIR_ASSIGN_OR_RETURN(LakeFiles files, OpenLakeFiles(config, source));
  std::unique_ptr<CsvSource> opened(new CsvSource(std::move(files)));
  const std::vector<std::string> names = opened->files_[0]->schema()->field_names();
  arrow::FieldVector fields;
  std::vector<bool> declared;
  for (const std::string& name : names) {
    const auto found = types.find(name);
    declared.push_back(found != types.end());
    std::shared_ptr<arrow::DataType> type;
    if (found != types.end()) {
      WEIR_ASSIGN_OR_RETURN(type, DeclaredType(name, found->second));
    }
    fields.push_back(arrow::field(name, type == nullptr ? arrow::utf8() : type));
  }
  for (const auto& [name, type] : types) {
    if (opened->files_[0]->schema()->GetFieldIndex(name) < 0) {
      return InvalidArgument(fmt::format("--types: {} has no column \"{}\"", opened->files_[0]->path(), name));
    }
  }
  WEIR_ASSIGN_OR_RETURN(const std::vector<TextType> seen, SeeAll(opened->files_, declared));
  for (size_t c = 0; c < names.size(); ++c) {
    if (!declared[c]) fields[c] = arrow::field(names[c], InferredType(seen[c].kind()));
  }
  opened->schema_ = arrow::schema(std::move(fields));
  return opened;
}

double CsvSource::share() const {
  return rows_all_ == 0 ? 1 : static_cast<double>(rows_done_) / static_cast<double>(rows_all_);
}

Result<std::shared_ptr<arrow::RecordBatch>> CsvSource::Next() {
  WEIR_ASSIGN_OR_RETURN(const std::shared_ptr<arrow::RecordBatch> text, rows_.Next());
  if (text == nullptr) return std::shared_ptr<arrow::RecordBatch>();
  arrow::ArrayVector columns;
  for (int c = 0; c < text->num_columns(); ++c) {
    const arrow::Field& field = *schema_->field(c);
    int64_t bad = -1;
    WEIR_ASSIGN_OR_RETURN(std::shared_ptr<arrow::Array> column, ToType(text->column(c), *field.type(), &bad));
    if (bad >= 0) {
      return InvalidArgument(fmt::format("{}: row {}, column {}: expected {}, found '{}'", rows_.path(),
                                         rows_.first_row() + bad + 1, field.name(), field.type()->ToString(),
                                         CellText(*text->column(c), bad)));
    }
    columns.push_back(std::move(column));
  }
  rows_done_ += text->num_rows();
  return arrow::RecordBatch::Make(schema_, text->num_rows(), std::move(columns));
}

}  // namespace weir
