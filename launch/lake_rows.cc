#include "launch/lake_rows.h"

#include <algorithm>
#include <utility>

#include <arrow/record_batch.h>
#include <arrow/type.h>
#include <fmt/format.h>

#include "data_loader/formats/broken_rows.h"
#include "launch/stop_signal.h"

namespace weir {
namespace {

Status CheckNamesAreUnique(const LakeFile& file) {
  std::vector<std::string> names = file.schema()->field_names();
  std::sort(names.begin(), names.end());
  const auto twice = std::adjacent_find(names.begin(), names.end());
  if (twice == names.end()) return Status();
  return InvalidArgument(
      fmt::format("{}: expected columns of different names, found two named \"{}\"", file.path(), *twice));
}

Status CheckSameColumns(const LakeFile& file, const LakeFile& first) {
  for (const auto& expected : first.schema()->fields()) {
    const auto found = file.schema()->GetFieldByName(expected->name());
    if (found != nullptr && found->type()->Equals(*expected->type())) continue;
    return InvalidArgument(fmt::format("{}: expected column {} of type {} as in {}, found {}", file.path(),
                                       expected->name(), expected->type()->ToString(), first.path(),
                                       found == nullptr ? std::string("none") : found->type()->ToString()));
  }
  return Status();
}

}  // namespace

Result<LakeFiles> OpenLakeFiles(const DataConfig& config, const SourceConfig& source) {
  WEIR_ASSIGN_OR_RETURN(const std::vector<LakeEntry> entries, ListFiles(source));
  LakeFiles files;
  for (const LakeEntry& entry : entries) {
    if (StopAsked()) return Aborted("stopped by a signal");
    WEIR_ASSIGN_OR_RETURN(std::unique_ptr<LakeFile> file, LakeFile::Open(entry, config));
    WEIR_RETURN_IF_ERROR(files.empty() ? CheckNamesAreUnique(*file) : CheckSameColumns(*file, *files[0]));
    files.push_back(std::move(file));
  }
  return files;
}

std::vector<RowGroupPart> WholeRowGroups(const LakeFiles& files) {
  std::vector<RowGroupPart> parts;
  for (size_t f = 0; f < files.size(); ++f) {
    const std::vector<RowGroup>& groups = files[f]->row_groups();
    for (size_t g = 0; g < groups.size(); ++g) {
      if (groups[g].rows > 0) parts.push_back({f, static_cast<int>(g), groups[g].rows});
    }
  }
  return parts;
}

LakeRows::LakeRows(const LakeFiles* files, std::vector<RowGroupPart> parts, int64_t batch_rows)
    : files_(files),
      parts_(std::move(parts)),
      batch_rows_(batch_rows),
      columns_((*files)[0]->schema()->field_names()) {}

Result<std::shared_ptr<arrow::RecordBatch>> LakeRows::Next() {
  for (; part_ < parts_.size(); ++part_) {
    const RowGroupPart& part = parts_[part_];
    const LakeFile& file = *(*files_)[part.file];
    if (reader_ == nullptr) {
      WEIR_ASSIGN_OR_RETURN(reader_, file.Read(part.group, 0, part.rows, columns_, std::min(part.rows, batch_rows_)));
      row_ = 0;
    }
    WEIR_ASSIGN_OR_RETURN(std::shared_ptr<arrow::RecordBatch> rows, reader_->Next());
    if (rows == nullptr) {
      reader_.reset();
      continue;
    }
    batch_file_ = part.file;
    batch_first_row_ = file.first_rows()[part.group] + row_;
    row_ += rows->num_rows();
    WEIR_RETURN_IF_ERROR(RefuseBrokenRows(*rows, batch_first_row_, file.path()));
    // A file may hold them in another order, or more of them.
    auto ordered = rows->SelectColumns([&] {
      std::vector<int> indices;
      for (const std::string& name : columns_) indices.push_back(rows->schema()->GetFieldIndex(name));
      return indices;
    }());
    if (!ordered.ok()) return Internal(fmt::format("{}: {}", file.path(), ordered.status().message()));
    return *ordered;
  }
  return std::shared_ptr<arrow::RecordBatch>();
}

}  // namespace weir
