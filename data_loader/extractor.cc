#include "data_loader/extractor.h"

#include <algorithm>
#include <utility>

#include <arrow/record_batch.h>
#include <arrow/type.h>
#include <fmt/format.h>

#include "batch/feature.h"
#include "data_loader/formats/broken_rows.h"
#include "data_loader/formats/lake_file.h"
#include "proto/nearest_name.h"

namespace weir {
namespace {

// The less, the graver. A row that is broken as a whole has nothing but nulls: what its columns say of them is no news.
int Gravity(const BadRow& bad) {
  if (bad.column.empty()) return 0;
  return bad.policy == DataConfig::STOP ? 1 : bad.policy == DataConfig::SKIP ? 2 : 3;
}

// Keeps the gravest fault of each row, the first of those, rows ascending.
void SortByRow(size_t begin, std::vector<BadRow>* bad) {
  auto first = bad->begin() + static_cast<int64_t>(begin);
  std::stable_sort(first, bad->end(), [](const BadRow& a, const BadRow& b) {
    return std::pair(a.row, Gravity(a)) < std::pair(b.row, Gravity(b));
  });
  bad->erase(std::unique(first, bad->end(), [](const BadRow& a, const BadRow& b) { return a.row == b.row; }),
             bad->end());
}

// Says what becomes of the rows from `begin` on.
void SetPolicy(DataConfig::BadRowPolicy policy, size_t begin, std::vector<BadRow>* bad) {
  for (size_t b = begin; b < bad->size(); ++b) (*bad)[b].policy = policy;
}

// A column's own policy, else the data's; what has no default is left out instead.
template <typename Config>
DataConfig::BadRowPolicy PolicyWithoutDefault(const Config& config, const DataConfig& data) {
  const auto policy = config.has_on_bad_row() ? config.on_bad_row() : data.on_bad_row();
  return policy == DataConfig::DEFAULT ? DataConfig::SKIP : policy;
}

// The column of that name, which was asked for.
Result<std::shared_ptr<arrow::Array>> ColumnOf(const arrow::RecordBatch& rows, const std::string& name) {
  auto column = rows.GetColumnByName(name);
  if (column == nullptr) return Internal(fmt::format("column {} was not read", name));
  return column;
}

// Moves the rows kept to the front; `width` values a row.
template <typename T>
void Keep(const std::vector<uint8_t>& dropped, size_t width, std::vector<T>* values) {
  size_t kept = 0;
  for (size_t row = 0; row < dropped.size(); ++row) {
    if (dropped[row]) continue;
    for (size_t i = 0; i < width; ++i) (*values)[kept * width + i] = (*values)[row * width + i];
    ++kept;
  }
  values->resize(kept * width);
}

}  // namespace

Result<const arrow::Field*> FeatureExtractor::Find(const arrow::Schema& schema, const std::string& column,
                                                   const std::string& reader) {
  if (derived_.Has(column)) {
    return derived_.Add(column, schema, [&](const std::string& from) {
      return Find(schema, from, fmt::format("{}: column {}", reader, column));
    });
  }
  std::vector<int> found = schema.GetAllFieldIndices(column);
  if (found.empty()) {
    return InvalidArgument(fmt::format("{}: expected a column '{}', found none of that name{}", reader, column,
                                       SuggestName(column, schema.field_names())));
  }
  if (found.size() > 1) {
    return InvalidArgument(
        fmt::format("{}: expected one column '{}', found {} of that name", reader, column, found.size()));
  }
  if (std::find(columns_.begin(), columns_.end(), column) == columns_.end()) columns_.push_back(column);
  return schema.field(found[0]).get();
}

Status FeatureExtractor::AddFeature(FeatureConfig feature, const arrow::Schema& schema) {
  if (!feature.has_column()) feature.set_column(feature.name());
  WEIR_ASSIGN_OR_RETURN(const arrow::Field* field,
                        Find(schema, feature.column(), fmt::format("feature {}", feature.name())));
  const bool text = IsText(*field);
  if (feature.has_numeric()) return AddNumeric(feature, *field->type(), text);
  const std::string& weight = feature.sparse().weight_column();
  const arrow::DataType* weight_type = nullptr;
  if (!weight.empty()) {
    WEIR_ASSIGN_OR_RETURN(const arrow::Field* weights,
                          Find(schema, weight, fmt::format("feature {}: weight_column", feature.name())));
    weight_type = weights->type().get();
  }
  WEIR_ASSIGN_OR_RETURN(SparseColumn sparse, SparseColumn::Make(feature, *field->type(), text, weight_type));
  value_weight_columns_.push_back(weight);
  cuts_.push_back(SequenceCut::Of(feature.sparse()));
  JoinGroup(feature);
  sparse_.push_back(std::move(sparse));
  sparse_columns_.push_back(feature.column());
  sparse_policies_.push_back(feature.on_bad_row());
  return Status();
}

Result<std::unique_ptr<FeatureExtractor>> FeatureExtractor::Make(const Job& job, const arrow::Schema& schema,
                                                                 bool with_label, const std::string& id_column,
                                                                 SideFiles* files) {
  std::unique_ptr<FeatureExtractor> made(new FeatureExtractor(job, files));
  const DataConfig& data = job.data();
  made->row_policy_ = PolicyWithoutDefault(data.csv(), data);
  made->derived_policy_ = data.on_bad_row();
  made->group_policy_ = data.on_bad_row() == DataConfig::STOP ? DataConfig::STOP : DataConfig::SKIP;
  if (with_label) {
    const LabelConfig& label = data.label();
    made->all_positive_ = !label.has_column();
    if (label.has_column()) {
      WEIR_ASSIGN_OR_RETURN(const arrow::Field* field, made->Find(schema, label.column(), "label"));
      WEIR_ASSIGN_OR_RETURN(made->label_, LabelColumn::Make(label, *field->type(), IsText(*field)));
      made->label_name_ = label.column();
      made->label_policy_ = PolicyWithoutDefault(label, data);
    }
    if (const std::string& weight = data.weight_column(); !weight.empty()) {
      WEIR_ASSIGN_OR_RETURN(const arrow::Field* field, made->Find(schema, weight, "weight"));
      WEIR_ASSIGN_OR_RETURN(made->weight_, WeightColumn::Make(weight, *field->type(), IsText(*field)));
      made->weight_name_ = weight;
      made->weight_policy_ = data.has_on_bad_weight() ? data.on_bad_weight() : data.on_bad_row();
    }
  }
  for (FeatureConfig feature : job.features()) {
    if (!feature.has_on_bad_row()) feature.set_on_bad_row(data.on_bad_row());
    WEIR_RETURN_IF_ERROR(made->AddFeature(std::move(feature), schema));
  }
  if (!id_column.empty()) {
    WEIR_ASSIGN_OR_RETURN(const arrow::Field* field, made->Find(schema, id_column, "data.ledger"));
    WEIR_ASSIGN_OR_RETURN(made->id_, IdColumn::Make(id_column, *field->type()));
    made->id_name_ = id_column;
    made->id_policy_ = data.on_bad_row();
  }
  return made;
}

// Before it is added to sparse_.
void FeatureExtractor::JoinGroup(const FeatureConfig& feature) {
  const std::string& name = feature.sparse().group();
  if (!feature.sparse().has_group()) return;
  auto group = std::find_if(groups_.begin(), groups_.end(), [&](const auto& other) { return other.name() == name; });
  if (group == groups_.end()) group = groups_.insert(group, SequenceGroup(name));
  group->Add(sparse_.size(), feature.column());
}

Status FeatureExtractor::AddNumeric(const FeatureConfig& feature, const arrow::DataType& type, bool text) {
  NumericInput input;
  input.column = feature.column();
  input.offset = numeric_dim_;
  if (feature.numeric().length() > 0) {
    WEIR_ASSIGN_OR_RETURN(input.vector, VectorColumn::Make(feature, type, text));
  } else {
    WEIR_ASSIGN_OR_RETURN(input.number, NumericColumn::Make(feature, type, text));
  }
  input.policy = feature.on_bad_row();
  numeric_.push_back(std::move(input));
  numeric_dim_ += NumericColumnsOf(feature.numeric());
  return Status();
}

std::vector<std::string> FeatureExtractor::dictionary_columns() const {
  // What another reader of the column expects is its declared type.
  const auto only_sparse = [&](const std::string& column) {
    const bool numeric = std::any_of(numeric_.begin(), numeric_.end(),
                                     [&](const NumericInput& input) { return input.column == column; });
    return !numeric && column != label_name_ && column != weight_name_ && column != id_name_ &&
           !derived_.Reads(column) &&
           std::find(value_weight_columns_.begin(), value_weight_columns_.end(), column) == value_weight_columns_.end();
  };
  std::vector<std::string> accepted, refused;
  for (size_t f = 0; f < sparse_.size(); ++f) {
    const std::string& column = sparse_columns_[f];
    (sparse_[f].AcceptsDictionary() && only_sparse(column) ? accepted : refused).push_back(column);
  }
  std::erase_if(accepted, [&](const std::string& column) {
    return std::find(refused.begin(), refused.end(), column) != refused.end();
  });
  return accepted;
}

Status FeatureExtractor::Extract(const arrow::RecordBatch& rows, Batch* out, std::vector<BadRow>* bad,
                                 KeptKeys* kept) const {
  const size_t bad_before = bad->size();
  WEIR_RETURN_IF_ERROR(FindBrokenRows(rows, out->num_samples, bad));
  SetPolicy(row_policy_, bad_before, bad);
  if (derived_.empty()) {
    WEIR_RETURN_IF_ERROR(ExtractColumns(rows, out, bad, kept));
  } else {
    const size_t found = bad->size();
    WEIR_ASSIGN_OR_RETURN(const auto all, derived_.AppendTo(rows, out->num_samples, bad));
    SetPolicy(derived_policy_, found, bad);
    WEIR_RETURN_IF_ERROR(ExtractColumns(*all, out, bad, kept));
  }
  if (bad->size() > bad_before) SortByRow(bad_before, bad);
  return Status();
}

Status FeatureExtractor::ExtractColumns(const arrow::RecordBatch& rows, Batch* out, std::vector<BadRow>* bad,
                                        KeptKeys* kept) const {
  const int64_t n = rows.num_rows();
  const int64_t first = out->num_samples;
  out->labels.resize(first + n, all_positive_ ? 1.0f : 0.0f);
  out->weights.resize(first + n, 1.0f);
  size_t found = bad->size();
  if (label_) {
    WEIR_ASSIGN_OR_RETURN(const auto column, ColumnOf(rows, label_name_));
    WEIR_RETURN_IF_ERROR(label_->Extract(*column, out->labels.data() + first, first, bad));
    SetPolicy(label_policy_, std::exchange(found, bad->size()), bad);
  }
  if (weight_) {
    WEIR_ASSIGN_OR_RETURN(const auto column, ColumnOf(rows, weight_name_));
    WEIR_RETURN_IF_ERROR(weight_->Extract(*column, out->weights.data() + first, first, bad));
    SetPolicy(weight_policy_, std::exchange(found, bad->size()), bad);
  }
  WEIR_RETURN_IF_ERROR(ExtractNumeric(rows, out, bad));
  WEIR_RETURN_IF_ERROR(ExtractSparse(rows, out, bad, kept));
  found = bad->size();
  if (id_) {
    WEIR_ASSIGN_OR_RETURN(const auto column, ColumnOf(rows, id_name_));
    WEIR_RETURN_IF_ERROR(id_->Extract(*column, &out->ids, first, bad));
    SetPolicy(id_policy_, found, bad);
  }
  found = bad->size();
  for (const SequenceGroup& group : groups_) group.CheckLengths(first, out, bad);
  SetPolicy(group_policy_, found, bad);
  for (size_t f = 0; f < sparse_.size(); ++f) CutSamples(cuts_[f], first, &out->sparse[f]);
  out->num_samples = first + n;
  return Status();
}

Status FeatureExtractor::ExtractNumeric(const arrow::RecordBatch& rows, Batch* out, std::vector<BadRow>* bad) const {
  const int64_t first = out->num_samples;
  out->numeric.resize((first + rows.num_rows()) * numeric_dim_);
  float* begin = out->numeric.data() + first * numeric_dim_;
  arrow::ArrayVector columns;  // one per numeric feature
  std::vector<const float*> plain;
  std::vector<int64_t> places;
  std::vector<size_t> plain_features, others;
  for (size_t f = 0; f < numeric_.size(); ++f) {
    WEIR_ASSIGN_OR_RETURN(auto column, ColumnOf(rows, numeric_[f].column));
    const float* values = numeric_[f].number ? numeric_[f].number->AsTheyAre(*column) : nullptr;
    if (values != nullptr) {
      plain.push_back(values);
      places.push_back(numeric_[f].offset);
    }
    (values != nullptr ? plain_features : others).push_back(f);
    columns.push_back(std::move(column));
  }
  const std::vector<bool> finite = Interleave(plain, places, rows.num_rows(), begin, numeric_dim_);
  for (size_t p = 0; p < plain.size(); ++p) {
    if (!finite[p]) others.push_back(plain_features[p]);
  }
  // Of a row's faults the first feature's counts.
  std::sort(others.begin(), others.end());
  for (const size_t f : others) {
    const NumericInput& input = numeric_[f];
    const size_t found = bad->size();
    float* values = begin + input.offset;
    WEIR_RETURN_IF_ERROR(input.number ? input.number->Extract(*columns[f], values, numeric_dim_, first, bad)
                                      : input.vector->Extract(*columns[f], values, numeric_dim_, first, bad));
    SetPolicy(input.policy, found, bad);
  }
  return Status();
}

Status FeatureExtractor::ExtractSparse(const arrow::RecordBatch& rows, Batch* out, std::vector<BadRow>* bad,
                                       KeptKeys* kept) const {
  const int64_t first = out->num_samples;
  out->sparse.resize(sparse_.size());
  if (kept != nullptr) kept->resize(sparse_.size());
  for (size_t f = 0; f < sparse_.size(); ++f) {
    const size_t found = bad->size();
    std::shared_ptr<arrow::Array> weights;
    if (!value_weight_columns_[f].empty()) {
      WEIR_ASSIGN_OR_RETURN(weights, ColumnOf(rows, value_weight_columns_[f]));
    }
    WEIR_ASSIGN_OR_RETURN(const auto column, ColumnOf(rows, sparse_columns_[f]));
    WEIR_RETURN_IF_ERROR(sparse_[f].Extract(*column, weights.get(), &out->sparse[f], first, bad,
                                            kept != nullptr ? &(*kept)[f] : nullptr));
    WEIR_RETURN_IF_ERROR(CheckValueCount(out->sparse[f].values.size(), first + rows.num_rows(), sparse_columns_[f]));
    SetPolicy(sparse_policies_[f], found, bad);
  }
  return Status();
}

Status FeatureExtractor::CheckAgrees(const FeatureExtractor& other) const {
  constexpr const char* kKinds[] = {"integers", "strings", "numbers"};
  for (const SparseColumn& own : sparse_) {
    const auto found = std::find_if(other.sparse_.begin(), other.sparse_.end(),
                                    [&](const SparseColumn& column) { return column.feature() == own.feature(); });
    if (found == other.sparse_.end() || found->kind() == own.kind()) continue;
    return InvalidArgument(
        fmt::format("feature {}: column {}: expected {}, as in the files before, found {}: they would be hashed apart",
                    own.feature(), other.sparse_columns_[found - other.sparse_.begin()],
                    kKinds[static_cast<int>(own.kind())], kKinds[static_cast<int>(found->kind())]));
  }
  return derived_.CheckAgrees(other.derived_);
}

Batch EmptyBatch(const Job& job) {
  Batch batch;
  for (const FeatureConfig& feature : job.features()) {
    if (!feature.has_numeric()) batch.sparse.emplace_back();
  }
  return batch;
}

void RemoveRows(const std::vector<BadRow>& bad, Batch* batch) {
  std::vector<uint8_t> dropped(batch->num_samples);
  for (const BadRow& row : bad) dropped[row.row] = !row.is_kept();
  RemoveRows(dropped, batch);
}

void RemoveRows(const std::vector<uint8_t>& dropped, Batch* batch) {
  if (std::find(dropped.begin(), dropped.end(), 1) == dropped.end()) return;
  const size_t width = batch->numeric.size() / batch->num_samples;
  Keep(dropped, width, &batch->numeric);
  Keep(dropped, 1, &batch->labels);
  Keep(dropped, 1, &batch->weights);
  if (batch->sample_index.size() == dropped.size()) Keep(dropped, 1, &batch->sample_index);
  for (Jagged& feature : batch->sparse) {
    Jagged kept;
    for (int64_t i = 0; i < batch->num_samples; ++i) {
      if (!dropped[i]) kept.AppendSample(feature, i);
    }
    feature = std::move(kept);
  }
  SampleIds kept_ids;
  for (int64_t i = 0; i < batch->ids.size(); ++i) {
    if (!dropped[i]) kept_ids.Append(batch->ids[i]);
  }
  batch->ids = std::move(kept_ids);
  batch->num_samples = static_cast<int64_t>(batch->labels.size());
}

}  // namespace weir
