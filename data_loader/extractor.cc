#include "data_loader/extractor.h"

#include <algorithm>

#include <arrow/record_batch.h>
#include <arrow/type.h>
#include <fmt/format.h>

#include "data_loader/formats/lake_file.h"
#include "proto/nearest_name.h"

namespace weir {
namespace {

// Keeps the first fault of each row, rows ascending.
void SortByRow(size_t begin, std::vector<BadRow>* bad) {
  auto first = bad->begin() + static_cast<int64_t>(begin);
  std::stable_sort(first, bad->end(), [](const BadRow& a, const BadRow& b) { return a.row < b.row; });
  bad->erase(std::unique(first, bad->end(), [](const BadRow& a, const BadRow& b) { return a.row == b.row; }),
             bad->end());
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

Result<std::unique_ptr<FeatureExtractor>> FeatureExtractor::Make(const Job& job, const arrow::Schema& schema,
                                                                 bool with_label) {
  std::unique_ptr<FeatureExtractor> made(new FeatureExtractor());
  const bool text = IsText(schema);
  if (with_label) {
    const LabelConfig& label = job.data().label();
    made->all_positive_ = !label.has_column();
    if (label.has_column()) {
      WEIR_ASSIGN_OR_RETURN(const arrow::Field* field, made->Find(schema, label.column(), "label"));
      WEIR_ASSIGN_OR_RETURN(made->label_, LabelColumn::Make(label, *field->type(), text));
      made->label_name_ = label.column();
    }
    if (const std::string& weight = job.data().weight_column(); !weight.empty()) {
      WEIR_ASSIGN_OR_RETURN(const arrow::Field* field, made->Find(schema, weight, "weight"));
      WEIR_ASSIGN_OR_RETURN(made->weight_, WeightColumn::Make(weight, *field->type(), text));
      made->weight_name_ = weight;
    }
  }
  for (FeatureConfig feature : job.features()) {
    if (!feature.has_column()) feature.set_column(feature.name());
    WEIR_ASSIGN_OR_RETURN(const arrow::Field* field,
                          made->Find(schema, feature.column(), fmt::format("feature {}", feature.name())));
    if (feature.has_numeric()) {
      WEIR_ASSIGN_OR_RETURN(NumericColumn numeric, NumericColumn::Make(feature, *field->type(), text));
      made->numeric_.push_back(std::move(numeric));
      made->numeric_columns_.push_back(feature.column());
    } else {
      const std::string& weight = feature.sparse().weight_column();
      const arrow::DataType* weight_type = nullptr;
      if (!weight.empty()) {
        WEIR_ASSIGN_OR_RETURN(const arrow::Field* weights,
                              made->Find(schema, weight, fmt::format("feature {}: weight_column", feature.name())));
        weight_type = weights->type().get();
      }
      WEIR_ASSIGN_OR_RETURN(SparseColumn sparse, SparseColumn::Make(feature, *field->type(), text, weight_type));
      made->value_weight_columns_.push_back(weight);
      made->sparse_.push_back(std::move(sparse));
      made->sparse_columns_.push_back(feature.column());
    }
  }
  return made;
}

Status FeatureExtractor::Extract(const arrow::RecordBatch& rows, Batch* out, std::vector<BadRow>* bad) const {
  const int64_t n = rows.num_rows();
  const int64_t first = out->num_samples;
  const size_t bad_before = bad->size();
  std::shared_ptr<arrow::Array> column;
  auto find = [&](const std::string& name) {
    column = rows.GetColumnByName(name);
    return column == nullptr ? Internal(fmt::format("column {} was not read", name)) : Status();
  };
  out->labels.resize(first + n, all_positive_ ? 1.0f : 0.0f);
  out->weights.resize(first + n, 1.0f);
  if (label_) {
    WEIR_RETURN_IF_ERROR(find(label_name_));
    WEIR_RETURN_IF_ERROR(label_->Extract(*column, out->labels.data() + first, first, bad));
  }
  if (weight_) {
    WEIR_RETURN_IF_ERROR(find(weight_name_));
    WEIR_RETURN_IF_ERROR(weight_->Extract(*column, out->weights.data() + first, first, bad));
  }
  const int64_t width = static_cast<int64_t>(numeric_.size());
  out->numeric.resize((first + n) * width);
  for (int64_t f = 0; f < width; ++f) {
    WEIR_RETURN_IF_ERROR(find(numeric_columns_[f]));
    WEIR_RETURN_IF_ERROR(numeric_[f].Extract(*column, out->numeric.data() + first * width + f, width, first, bad));
  }
  out->sparse.resize(sparse_.size());
  for (size_t f = 0; f < sparse_.size(); ++f) {
    std::shared_ptr<arrow::Array> weights;
    if (!value_weight_columns_[f].empty()) {
      WEIR_RETURN_IF_ERROR(find(value_weight_columns_[f]));
      weights = column;
    }
    WEIR_RETURN_IF_ERROR(find(sparse_columns_[f]));
    WEIR_RETURN_IF_ERROR(sparse_[f].Extract(*column, weights.get(), &out->sparse[f], first, bad));
    WEIR_RETURN_IF_ERROR(CheckValueCount(out->sparse[f].values.size(), first + n, sparse_columns_[f]));
  }
  out->num_samples = first + n;
  if (bad->size() > bad_before) SortByRow(bad_before, bad);
  return Status();
}

Status FeatureExtractor::CheckAgrees(const FeatureExtractor& other) const {
  constexpr const char* kKinds[] = {"integers", "strings", "numbers"};
  for (size_t f = 0; f < sparse_.size() && f < other.sparse_.size(); ++f) {
    if (sparse_[f].kind() == other.sparse_[f].kind()) continue;
    return InvalidArgument(
        fmt::format("feature {}: column {}: expected {}, as in the files before, found {}: they would be "
                    "hashed apart",
                    sparse_[f].feature(), sparse_columns_[f], kKinds[static_cast<int>(sparse_[f].kind())],
                    kKinds[static_cast<int>(other.sparse_[f].kind())]));
  }
  return Status();
}

Batch EmptyBatch(const Job& job) {
  Batch batch;
  for (const FeatureConfig& feature : job.features()) {
    if (!feature.has_numeric()) batch.sparse.emplace_back();
  }
  return batch;
}

void RemoveRows(const std::vector<BadRow>& bad, Batch* batch) {
  if (bad.empty()) return;
  std::vector<uint8_t> dropped(batch->num_samples);
  for (const BadRow& row : bad) dropped[row.row] = 1;
  RemoveRows(dropped, batch);
}

void RemoveRows(const std::vector<uint8_t>& dropped, Batch* batch) {
  if (batch->num_samples == 0) return;
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
  batch->num_samples = static_cast<int64_t>(batch->labels.size());
}

}  // namespace weir
