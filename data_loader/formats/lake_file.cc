#include "data_loader/formats/lake_file.h"

#include <algorithm>

#include <arrow/type.h>
#include <arrow/util/key_value_metadata.h>
#include <fmt/format.h>

#include "data_loader/formats/arrow_file.h"
#include "data_loader/formats/csv_file.h"
#include "data_loader/formats/libsvm_file.h"
#include "data_loader/formats/parquet_file.h"
#include "data_loader/formats/partition_columns.h"
#include "data_loader/formats/tf_record_file.h"

namespace weir {
namespace {

constexpr char kTextMark[] = "weir.text";

Result<std::unique_ptr<LakeFile>> OpenFormat(const LakeEntry& entry, const DataConfig& config) {
  DataConfig::FileFormat format = FormatOf(entry.path, config.format());
  if (entry.bytes == 0) {
    return InvalidArgument(
        fmt::format("{}: the file is empty (0 bytes): expected {}", entry.path, DataConfig::FileFormat_Name(format)));
  }
  const bool packs_itself = format == DataConfig::PARQUET || format == DataConfig::ARROW;
  if (packs_itself && entry.path.ends_with(".gz")) {
    return InvalidArgument(
        fmt::format("{}: gzip around {} is not read: unpack it; the format has compression of its own", entry.path,
                    DataConfig::FileFormat_Name(format)));
  }
  switch (format) {
    case DataConfig::PARQUET:
      return ParquetFile::Open(entry);
    case DataConfig::ARROW:
      return ArrowFile::Open(entry);
    case DataConfig::TFRECORD:
      return TfRecordFile::Open(entry, config.tfrecord());
    case DataConfig::LIBSVM:
      return LibsvmFile::Open(entry, LibsvmKind::kLibsvm);
    case DataConfig::LIBFFM:
      return LibsvmFile::Open(entry, LibsvmKind::kLibffm);
    default:
      return CsvFile::Open(entry, config.csv(), config.format() == DataConfig::AUTO);
  }
}

}  // namespace

Result<std::unique_ptr<LakeFile>> LakeFile::Open(const LakeEntry& entry, const DataConfig& config) {
  WEIR_ASSIGN_OR_RETURN(std::unique_ptr<LakeFile> file, OpenFormat(entry, config));
  return WithPartitionColumns(std::move(file));
}

Status LakeFile::SetContents(std::shared_ptr<arrow::Schema> schema, std::vector<RowGroup> groups) {
  schema_ = std::move(schema);
  row_groups_ = std::move(groups);
  for (size_t g = 0; g < row_groups_.size(); ++g) {
    first_rows_.push_back(rows_);
    if (row_groups_[g].rows < 0 || __builtin_add_overflow(rows_, row_groups_[g].rows, &rows_)) {
      return DataLoss(fmt::format("{}: row group {}: expected a number of rows, found {} after {} in the groups before",
                                  path(), g, row_groups_[g].rows, first_rows_.back()));
    }
  }
  return Status();
}

std::shared_ptr<arrow::Schema> NamedFields(const arrow::Schema& schema, const std::vector<std::string>& names) {
  arrow::FieldVector fields;
  for (const auto& field : schema.fields()) {
    if (std::find(names.begin(), names.end(), field->name()) != names.end()) fields.push_back(field);
  }
  return arrow::schema(std::move(fields));
}

std::shared_ptr<arrow::Schema> WithoutMetadata(const arrow::Schema& schema) {
  arrow::FieldVector fields;
  for (const auto& field : schema.fields()) fields.push_back(field->RemoveMetadata());
  return arrow::schema(std::move(fields));
}

bool IsText(const arrow::Field& field) { return field.HasMetadata() && field.metadata()->Contains(kTextMark); }

std::shared_ptr<arrow::Field> AsText(const std::shared_ptr<arrow::Field>& field) {
  return field->WithMetadata(arrow::key_value_metadata({kTextMark}, {"1"}));
}

std::shared_ptr<arrow::Schema> AsText(const std::shared_ptr<arrow::Schema>& schema) {
  arrow::FieldVector fields;
  for (const auto& field : schema->fields()) fields.push_back(AsText(field));
  return arrow::schema(std::move(fields));
}

}  // namespace weir
