#include "data_loader/formats/next_item_file.h"

#include <algorithm>
#include <utility>

#include <arrow/array.h>
#include <arrow/compute/api_vector.h>
#include <arrow/record_batch.h>
#include <arrow/type.h>
#include <fmt/format.h>

#include "data_loader/columns/list_bounds.h"
#include "data_loader/lake/arrow_status.h"
#include "proto/nearest_name.h"

namespace weir {
namespace {

constexpr int64_t kMarkRows = 1024;
constexpr int64_t kCountRows = 8192;
// Of the lists of one record batch that is handed out.
constexpr int64_t kValuesMax = 1 << 20;
constexpr char kNext[] = "_next";

// Places [begin, end) of a sequence.
struct Places {
  int64_t begin = 0;
  int64_t end = 0;
};

Places PlacesOf(int64_t length, NextItemConfig::Part part) {
  switch (part) {
    case NextItemConfig::TRAIN:
      return {1, std::max<int64_t>(1, length - 2)};
    case NextItemConfig::VALIDATION:
      return length < 3 ? Places() : Places{length - 2, length - 1};
    case NextItemConfig::TEST:
      return length < 3 ? Places() : Places{length - 1, length};
    case NextItemConfig::ALL:
      break;
  }
  return {1, std::max<int64_t>(1, length)};
}

int64_t LengthAt(const arrow::Array& column, const std::vector<int64_t>& bounds, int64_t row) {
  return column.IsNull(row) ? 0 : bounds[row + 1] - bounds[row];
}

Result<std::shared_ptr<arrow::Array>> Take(const arrow::Array& values, const std::vector<int64_t>& indices,
                                           const std::string& path) {
  const arrow::Int64Array at(static_cast<int64_t>(indices.size()), arrow::Buffer::Wrap(indices));
  return FromArrow(arrow::compute::Take(values, at, arrow::compute::TakeOptions::NoBoundsCheck()), path);
}

// A list column of the rows that are cut into places.
struct List {
  std::shared_ptr<arrow::Array> column;
  std::shared_ptr<arrow::Array> values;
  std::vector<int64_t> bounds;
};

struct Place {
  int64_t row = 0;  // of the record batch
  int64_t at = 0;   // t
};

class NextItemReader : public RowReader {
 public:
  // rows: begins with the row that has place `first`'s mark, of which `skip` places are left out.
  NextItemReader(std::string path, std::unique_ptr<RowReader> rows, const NextItemConfig& config,
                 std::vector<std::string> lists, std::vector<std::string> columns, int64_t skip, int64_t places,
                 int64_t batch_rows)
      : path_(std::move(path)),
        rows_(std::move(rows)),
        config_(config),
        lists_(std::move(lists)),
        columns_(std::move(columns)),
        skip_(skip),
        left_(places),
        batch_rows_(std::clamp<int64_t>(kValuesMax / config.history(), 1, batch_rows)) {}

  Result<std::shared_ptr<arrow::RecordBatch>> Next() override {
    std::vector<Place> places;
    while (left_ > 0 && places.empty()) {
      if (batch_ == nullptr || row_ == batch_->num_rows()) {
        WEIR_ASSIGN_OR_RETURN(batch_, rows_->Next());
        // Fewer rows than were counted: the caller says so.
        if (batch_ == nullptr) break;
        WEIR_RETURN_IF_ERROR(OpenLists());
        row_ = at_ = 0;
      }
      Collect(&places);
    }
    if (places.empty()) return std::shared_ptr<arrow::RecordBatch>();
    return Cut(places);
  }

 private:
  Status OpenLists() {
    cut_.clear();
    for (const std::string& name : lists_) {
      List list;
      list.column = batch_->GetColumnByName(name);
      if (list.column == nullptr) continue;
      list.values = ListElements(*list.column, &list.bounds);
      cut_.push_back(std::move(list));
    }
    for (size_t i = 1; i < cut_.size(); ++i) {
      for (int64_t row = 0; row < batch_->num_rows(); ++row) {
        const int64_t expected = LengthAt(*cut_[0].column, cut_[0].bounds, row);
        const int64_t found = LengthAt(*cut_[i].column, cut_[i].bounds, row);
        if (expected == found) continue;
        return InvalidArgument(
            fmt::format("{}: expected lists of one length in the columns {} and {} of a row, found {} and {} values: "
                        "they are cut at "
                        "the same place (next_item.aligned)",
                        path_, lists_[0], lists_[i], expected, found));
      }
    }
    return Status();
  }

  // Places of the record batch, from where the last ones ended, up to what may be handed out.
  void Collect(std::vector<Place>* places) {
    for (; row_ < batch_->num_rows(); ++row_, at_ = 0) {
      const Places all = PlacesOf(LengthAt(*cut_[0].column, cut_[0].bounds, row_), config_.part());
      for (at_ = std::max(at_, all.begin); at_ < all.end; ++at_) {
        if (skip_ > 0) {
          --skip_;
          continue;
        }
        if (left_ == 0 || static_cast<int64_t>(places->size()) == batch_rows_) return;
        places->push_back({row_, at_});
        --left_;
      }
    }
  }

  Result<std::shared_ptr<arrow::RecordBatch>> Cut(const std::vector<Place>& places) {
    std::vector<int64_t> rows;
    for (const Place& place : places) rows.push_back(place.row);
    arrow::FieldVector fields;
    arrow::ArrayVector arrays;
    for (const std::string& name : columns_) {
      std::shared_ptr<arrow::Array> array;
      if (const size_t list = IndexOf(name); list < lists_.size()) {
        WEIR_ASSIGN_OR_RETURN(array, Before(cut_[list], places));
      } else if (const size_t next =
                     name.ends_with(kNext) ? IndexOf(name.substr(0, name.size() - sizeof(kNext) + 1)) : lists_.size();
                 next < lists_.size()) {
        WEIR_ASSIGN_OR_RETURN(array, At(cut_[next], places));
      } else {
        WEIR_ASSIGN_OR_RETURN(array, Take(*batch_->GetColumnByName(name), rows, path_));
      }
      fields.push_back(arrow::field(name, array->type()));
      arrays.push_back(std::move(array));
    }
    return arrow::RecordBatch::Make(arrow::schema(std::move(fields)), static_cast<int64_t>(places.size()),
                                    std::move(arrays));
  }

  size_t IndexOf(std::string_view name) const { return std::find(lists_.begin(), lists_.end(), name) - lists_.begin(); }

  Result<std::shared_ptr<arrow::Array>> At(const List& list, const std::vector<Place>& places) const {
    std::vector<int64_t> indices;
    for (const Place& place : places) indices.push_back(list.bounds[place.row] + place.at);
    return Take(*list.values, indices, path_);
  }

  Result<std::shared_ptr<arrow::Array>> Before(const List& list, const std::vector<Place>& places) const {
    std::vector<int64_t> indices;
    std::vector<int32_t> offsets = {0};
    for (const Place& place : places) {
      for (int64_t i = std::max<int64_t>(0, place.at - config_.history()); i < place.at; ++i) {
        indices.push_back(list.bounds[place.row] + i);
      }
      offsets.push_back(static_cast<int32_t>(indices.size()));
    }
    WEIR_ASSIGN_OR_RETURN(auto values, Take(*list.values, indices, path_));
    auto type = arrow::list(values->type());
    return std::shared_ptr<arrow::Array>(
        std::make_shared<arrow::ListArray>(std::move(type), static_cast<int64_t>(places.size()),
                                           arrow::Buffer::FromVector(std::move(offsets)), std::move(values)));
  }

  const std::string path_;
  const std::unique_ptr<RowReader> rows_;
  const NextItemConfig config_;
  const std::vector<std::string> lists_;
  const std::vector<std::string> columns_;
  int64_t skip_;
  int64_t left_;
  const int64_t batch_rows_;
  std::shared_ptr<arrow::RecordBatch> batch_;
  std::vector<List> cut_;  // as lists_
  int64_t row_ = 0;        // of batch_
  int64_t at_ = 0;         // the next place of that row
};

}  // namespace

NextItemFile::NextItemFile(std::unique_ptr<LakeFile> rows, const NextItemConfig& config)
    : LakeFile(rows->entry()), rows_(std::move(rows)), config_(config), lists_({config.column()}) {
  lists_.insert(lists_.end(), config.aligned().begin(), config.aligned().end());
}

Result<std::unique_ptr<LakeFile>> NextItemFile::Open(std::unique_ptr<LakeFile> rows, const NextItemConfig& config) {
  std::unique_ptr<NextItemFile> opened(new NextItemFile(std::move(rows), config));
  const arrow::Schema& schema = *opened->rows_->schema();
  arrow::FieldVector fields = schema.fields();
  for (const std::string& name : opened->lists_) {
    const int i = schema.GetFieldIndex(name);
    const bool lists = i >= 0 && IsListType(*schema.field(i)->type());
    if (!lists || IsListType(*schema.field(i)->type()->field(0)->type())) {
      return InvalidArgument(fmt::format(
          "{}: next_item: expected one column '{}' of lists of values, found {}", opened->path(), name,
          i < 0 ? "none of that name" + SuggestName(name, schema.field_names()) : schema.field(i)->type()->ToString()));
    }
    if (schema.GetFieldIndex(name + kNext) >= 0) {
      return InvalidArgument(fmt::format("{}: next_item makes a column '{}{}', but the file has one of that name",
                                         opened->path(), name, kNext));
    }
    const auto& value = schema.field(i)->type()->field(0)->type();
    fields[i] = arrow::field(name, arrow::list(value));
    fields.push_back(arrow::field(name + kNext, value));
  }
  std::vector<RowGroup> groups;
  for (size_t g = 0; g < opened->rows_->row_groups().size(); ++g) {
    WEIR_ASSIGN_OR_RETURN(const int64_t places, opened->CountPlaces(static_cast<int>(g)));
    groups.push_back({places});
  }
  WEIR_RETURN_IF_ERROR(opened->SetContents(arrow::schema(std::move(fields), schema.metadata()), std::move(groups)));
  return std::unique_ptr<LakeFile>(std::move(opened));
}

Result<int64_t> NextItemFile::CountPlaces(int group) {
  const int64_t rows = rows_->row_groups()[group].rows;
  std::vector<int64_t>& marks = marks_.emplace_back();
  int64_t places = 0, row = 0;
  if (rows > 0) {
    WEIR_ASSIGN_OR_RETURN(auto reader, rows_->Read(group, 0, rows, {config_.column()}, kCountRows));
    std::vector<int64_t> bounds;
    while (true) {
      WEIR_ASSIGN_OR_RETURN(auto batch, reader->Next());
      if (batch == nullptr) break;
      const arrow::Array& column = *batch->column(0);
      ListElements(column, &bounds);
      for (int64_t i = 0; i < batch->num_rows(); ++i, ++row) {
        if (row % kMarkRows == 0) marks.push_back(places);
        const Places all = PlacesOf(LengthAt(column, bounds, i), config_.part());
        places += all.end - all.begin;
      }
    }
  }
  return places;
}

Result<std::unique_ptr<RowReader>> NextItemFile::Read(int group, int64_t begin, int64_t end,
                                                      const std::vector<std::string>& columns,
                                                      int64_t batch_rows) const {
  const std::vector<int64_t>& marks = marks_[group];
  // The last mark at or before `begin`; a row after it holds the place.
  const auto mark = std::upper_bound(marks.begin(), marks.end(), begin) - marks.begin() - 1;
  std::vector<std::string> read = lists_;
  for (const std::string& name : columns) {
    const bool made =
        name.ends_with(kNext) &&
        std::find(lists_.begin(), lists_.end(), name.substr(0, name.size() - sizeof(kNext) + 1)) != lists_.end();
    if (!made && std::find(read.begin(), read.end(), name) == read.end()) read.push_back(name);
  }
  WEIR_ASSIGN_OR_RETURN(auto rows,
                        rows_->Read(group, mark * kMarkRows, rows_->row_groups()[group].rows, read, kCountRows));
  return std::unique_ptr<RowReader>(std::make_unique<NextItemReader>(path(), std::move(rows), config_, lists_, columns,
                                                                     begin - marks[mark], end - begin, batch_rows));
}

}  // namespace weir
