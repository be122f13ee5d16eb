// FeatureExtractor: from record batches of the lake to the job's features: what training, prediction and serving share.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include <arrow/type_fwd.h>

#include "base/status.h"
#include "batch/batch.h"
#include "data_loader/columns/bad_rows.h"
#include "data_loader/columns/id_column.h"
#include "data_loader/columns/label_column.h"
#include "data_loader/columns/numeric_column.h"
#include "data_loader/columns/sequence_group.h"
#include "data_loader/columns/sparse_column.h"
#include "data_loader/columns/vector_column.h"
#include "data_loader/transforms/derived_columns.h"
#include "proto/job.pb.h"

namespace weir {

// Of each sparse feature: the keys of its column's last dictionary.
using KeptKeys = std::vector<DictionaryKeys>;

// Immutable once made; thread-safe.
class FeatureExtractor {
 public:
  // For a resolved job and columns as `schema` declares them (a LakeFile's, or any other). Without with_label neither
  // label nor weight column is needed; labels are then 0 and weights 1. id_column: empty for none. files: what
  // transforms read besides, shared by extractors; null for some of its own. InvalidArgument for a missing column (with
  // the nearest names), a column that stands twice and a wrong type; the caller adds the file.
  static Result<std::unique_ptr<FeatureExtractor>> Make(const Job& job, const arrow::Schema& schema, bool with_label,
                                                        const std::string& id_column = "", SideFiles* files = nullptr);

  // The columns read, each once.
  const std::vector<std::string>& columns() const { return columns_; }
  // Those of them that may come as dictionaries of their values, which are then hashed once.
  std::vector<std::string> dictionary_columns() const;

  // Appends the rows to *out, in order: sparse, numeric, labels and weights in FeatureSet order, ids where there is a
  // column of them; sample_index stays as it is. Rows with a value that cannot be used are appended too, with defaults,
  // and described in *bad (not null), each once, by its gravest fault, ascending, by their index in *out: what becomes
  // of them is their policy's to say (RemoveRows). The columns are found by name; there may be others. kept: of the
  // calls before for rows of the same reader; null to keep nothing.
  Status Extract(const arrow::RecordBatch& rows, Batch* out, std::vector<BadRow>* bad, KeptKeys* kept = nullptr) const;

  // OK when the sparse features that both have are hashed from the same kind of values, so that their keys agree.
  Status CheckAgrees(const FeatureExtractor& other) const;

 private:
  using Policy = DataConfig::BadRowPolicy;
  // A numeric feature: a number or a vector.
  struct NumericInput {
    std::string column;
    int64_t offset = 0;  // its first column in Batch.numeric
    std::optional<NumericColumn> number;
    std::optional<VectorColumn> vector;
    Policy policy = DataConfig::SKIP;
  };

  FeatureExtractor(const Job& job, SideFiles* files) : derived_(job, files) {}
  Status AddFeature(FeatureConfig feature, const arrow::Schema& schema);
  Status ExtractNumeric(const arrow::RecordBatch& rows, Batch* out, std::vector<BadRow>* bad) const;
  Status ExtractSparse(const arrow::RecordBatch& rows, Batch* out, std::vector<BadRow>* bad, KeptKeys* kept) const;
  // A column of the file, or one made of them.
  Result<const arrow::Field*> Find(const arrow::Schema& schema, const std::string& column, const std::string& reader);
  Status AddNumeric(const FeatureConfig& feature, const arrow::DataType& type, bool text);
  void JoinGroup(const FeatureConfig& feature);
  Status ExtractColumns(const arrow::RecordBatch& rows, Batch* out, std::vector<BadRow>* bad, KeptKeys* kept) const;

  std::vector<std::string> columns_;
  std::vector<std::string> sparse_columns_;
  std::vector<std::string> value_weight_columns_;  // one per sparse feature, empty without
  std::vector<SparseColumn> sparse_;
  std::vector<SequenceCut> cuts_;  // one per sparse feature
  std::vector<NumericInput> numeric_;
  int64_t numeric_dim_ = 0;  // columns of them all
  std::vector<SequenceGroup> groups_;
  DerivedColumns derived_;
  std::string label_name_, weight_name_;
  bool all_positive_ = false;  // without a label column
  std::optional<LabelColumn> label_;
  std::optional<WeightColumn> weight_;
  std::string id_name_;
  std::optional<IdColumn> id_;
  // What becomes of the rows that are bad by a column.
  Policy row_policy_ = DataConfig::SKIP, label_policy_ = DataConfig::SKIP, weight_policy_ = DataConfig::SKIP,
         id_policy_ = DataConfig::SKIP, derived_policy_ = DataConfig::SKIP, group_policy_ = DataConfig::SKIP;
  std::vector<Policy> sparse_policies_;
};

// An empty batch for the job's features.
Batch EmptyBatch(const Job& job);

// Drops the rows named in `bad` (ascending) from `batch`, sample_index included where it is filled; those that are kept
// (BadRow::is_kept) stay.
void RemoveRows(const std::vector<BadRow>& bad, Batch* batch);
// The same for the rows i of which dropped[i] is not 0. dropped: [num_samples].
void RemoveRows(const std::vector<uint8_t>& dropped, Batch* batch);

}  // namespace weir
