#include "data_loader/dataset.h"

#include <algorithm>

#include <arrow/type.h>
#include <fmt/format.h>
#include <fmt/ranges.h>

#include "data_loader/formats/next_item_file.h"
#include "proto/nearest_name.h"

namespace weir {

Status Dataset::Add(const Job& job, const SourceConfig& source, const LakeEntry& entry, bool with_label,
                    const std::vector<std::string>& extra_columns, const std::string& id_column) {
  WEIR_ASSIGN_OR_RETURN(auto file, LakeFile::Open(entry, job.data()));
  if (source.has_next_item()) {
    WEIR_ASSIGN_OR_RETURN(file, NextItemFile::Open(std::move(file), source.next_item()));
  }
  const arrow::Schema& schema = *file->schema();
  // Metadata counts: it says whether the columns are text.
  bool same = !files_.empty() && files_.back()->schema()->Equals(schema, /*check_metadata=*/true);
  if (same) {
    extractors_.push_back(extractors_.back());
    columns_.push_back(columns_.back());
    dictionary_columns_.push_back(dictionary_columns_.back());
  } else {
    auto extractor = FeatureExtractor::Make(job, schema, with_label, id_column, &side_files_);
    if (!extractor.ok()) return extractor.status().Wrap(entry.path);
    if (!extractors_.empty()) WEIR_RETURN_IF_ERROR(extractors_.front()->CheckAgrees(**extractor).Wrap(entry.path));
    extractors_.push_back(std::move(extractor).value());
    std::vector<std::string> columns = extractors_.back()->columns();
    for (const std::string& extra : extra_columns) {
      if (schema.GetAllFieldIndices(extra).size() != 1) {
        return InvalidArgument(fmt::format("{}: expected one column '{}', found {}{}", entry.path, extra,
                                           schema.GetAllFieldIndices(extra).size(),
                                           SuggestName(extra, schema.field_names())));
      }
      if (std::find(columns.begin(), columns.end(), extra) == columns.end()) columns.push_back(extra);
    }
    columns_.push_back(std::move(columns));
    std::vector<std::string> dictionaries = extractors_.back()->dictionary_columns();
    std::erase_if(dictionaries, [&](const std::string& column) {
      return std::find(extra_columns.begin(), extra_columns.end(), column) != extra_columns.end();
    });
    dictionary_columns_.push_back(std::move(dictionaries));
  }
  if (__builtin_add_overflow(rows_, file->rows(), &rows_)) {
    return DataLoss(fmt::format("{}: expected a number of rows, found {} after those of the files before", entry.path,
                                file->rows()));
  }
  files_.push_back(std::move(file));
  return Status();
}

Result<std::unique_ptr<Dataset>> Dataset::Open(const Job& job, const SourceConfig& source, bool with_label,
                                               const std::vector<std::string>& extra_columns,
                                               const std::string& id_column) {
  WEIR_ASSIGN_OR_RETURN(std::vector<LakeEntry> entries, ListFiles(source, LakeOptions::Of(job)));
  std::unique_ptr<Dataset> opened(new Dataset());
  for (const LakeEntry& entry : entries) {
    WEIR_RETURN_IF_ERROR(opened->Add(job, source, entry, with_label, extra_columns, id_column));
  }
  if (opened->rows_ == 0) {
    return InvalidArgument(fmt::format("{}: expected at least one row, found {} files without any",
                                       fmt::join(source.uri(), ", "), entries.size()));
  }
  return opened;
}

GroupRows Dataset::group_rows() const {
  GroupRows rows(files_.size());
  for (size_t f = 0; f < files_.size(); ++f) {
    for (const RowGroup& group : files_[f]->row_groups()) rows[f].push_back(group.rows);
  }
  return rows;
}

std::vector<InputFile> Dataset::Fingerprint() const {
  std::vector<InputFile> files(files_.size());
  for (size_t f = 0; f < files_.size(); ++f) {
    files[f].set_path(files_[f]->path());
    files[f].set_bytes(files_[f]->entry().bytes);
    files[f].set_rows(static_cast<uint64_t>(files_[f]->rows()));
  }
  return files;
}

}  // namespace weir
