// Dataset: the files of a source, opened and held against the job.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "base/status.h"
#include "data_loader/extractor.h"
#include "data_loader/formats/lake_file.h"
#include "data_loader/plan.h"
#include "proto/checkpoint.pb.h"
#include "proto/job.pb.h"

namespace weir {

// Constant once opened; files are read by one thread at a time.
class Dataset {
 public:
  // Lists the files, reads their schemas and row groups, and checks every one against the job's features, id_column
  // (empty: none) and the columns named in extra_columns. Errors name the file: NotFound (no files), InvalidArgument
  // (columns, types, no rows at all), DataLoss (torn).
  static Result<std::unique_ptr<Dataset>> Open(const Job& job, const SourceConfig& source, bool with_label,
                                               const std::vector<std::string>& extra_columns = {},
                                               const std::string& id_column = "");

  int num_files() const { return static_cast<int>(files_.size()); }
  const LakeFile& file(int i) const { return *files_[i]; }
  const FeatureExtractor& extractor(int i) const { return *extractors_[i]; }
  // What is read of file i: the features' columns and the extra ones.
  const std::vector<std::string>& columns(int i) const { return columns_[i]; }
  // Those of them that only features read which take dictionaries of the values.
  const std::vector<std::string>& dictionary_columns(int i) const { return dictionary_columns_[i]; }
  int64_t rows() const { return rows_; }
  GroupRows group_rows() const;
  // What a position is bound to.
  std::vector<InputFile> Fingerprint() const;

 private:
  Dataset() = default;
  Status Add(const Job& job, const SourceConfig& source, const LakeEntry& entry, bool with_label,
             const std::vector<std::string>& extra_columns, const std::string& id_column);

  SideFiles side_files_;
  std::vector<std::unique_ptr<LakeFile>> files_;
  std::vector<std::shared_ptr<const FeatureExtractor>> extractors_;  // one per file; files of one schema share it
  std::vector<std::vector<std::string>> columns_, dictionary_columns_;
  int64_t rows_ = 0;
};

}  // namespace weir
