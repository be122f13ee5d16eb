// vocabulary: the place of a value in a list of values.
#include <memory>
#include <unordered_map>

#include <arrow/array.h>
#include <arrow/type.h>
#include <fmt/format.h>

#include "base/number_text.h"
#include "data_loader/columns/key.h"
#include "data_loader/transforms/elements.h"
#include "data_loader/transforms/side_files.h"
#include "data_loader/transforms/transform.h"

namespace weir {
namespace {

using Values = std::shared_ptr<const std::vector<std::string>>;

class Vocabulary : public ColumnTransform {
 public:
  static Result<std::unique_ptr<ColumnTransform>> Make(const TransformSource& source, Values values) {
    const arrow::DataType& type = *source.types[0].type;
    std::unique_ptr<Vocabulary> made(new Vocabulary(source.config, {RebuiltType(type, arrow::int64())}));
    made->values_ = std::move(values);
    made->integers_ = IsIntegerType(ElementType(type));
    for (size_t i = 0; i < made->values_->size(); ++i) {
      const std::string& value = (*made->values_)[i];
      const auto place = static_cast<int64_t>(i);
      if (!made->integers_) {
        made->places_of_strings_.emplace(value, place);
        continue;
      }
      uint64_t bits = 0;
      if (!ParseInteger(value, &bits)) {
        return InvalidArgument(fmt::format("value {}: expected an integer, as column {} has, found '{}'", i + 1,
                                           source.config.from(0), value));
      }
      if (!made->places_of_integers_.emplace(bits, place).second) {
        return InvalidArgument(fmt::format("value {}: expected each integer once, found {} again", i + 1, value));
      }
    }
    return std::unique_ptr<ColumnTransform>(std::move(made));
  }

  std::vector<std::string> HashedKinds() const override {
    if (oov_buckets_ == 0) return {};
    return {integers_ ? "integers" : "strings"};
  }

  Result<std::shared_ptr<arrow::Array>> Apply(const ArrayList& inputs, const RowFaults&) const override {
    WEIR_ASSIGN_OR_RETURN(const Elements elements, Elements::Of(inputs[0]));
    const size_t n = elements.size();
    std::vector<int64_t> places(n);
    std::vector<Cell> cells(n);
    if (integers_) {
      std::vector<uint64_t> bits(n);
      WEIR_RETURN_IF_ERROR(ReadIntegers(elements.values(), bits.data(), cells.data()));
      for (size_t i = 0; i < n; ++i)
        Place(places_of_integers_, bits[i], rule_.OfInteger(bits[i]), &places[i], &cells[i]);
    } else {
      std::vector<std::string_view> texts(n);
      WEIR_RETURN_IF_ERROR(ReadStrings(elements.values(), texts.data(), cells.data()));
      for (size_t i = 0; i < n; ++i) {
        Place(places_of_strings_, texts[i], rule_.OfString(texts[i]), &places[i], &cells[i]);
      }
    }
    WEIR_ASSIGN_OR_RETURN(auto column, IntegerArray(places, cells));
    return elements.Rebuild(std::move(column));
  }

 private:
  Vocabulary(const ColumnConfig& config, ColumnType type)
      : ColumnTransform(config, std::move(type)), oov_buckets_(config.vocabulary().oov_buckets()) {}

  template <typename Places, typename Value>
  void Place(const Places& places, const Value& value, uint64_t hash, int64_t* place, Cell* cell) const {
    if (*cell != Cell::kValue) return;
    if (const auto found = places.find(value); found != places.end()) {
      *place = found->second;
    } else if (oov_buckets_ > 0) {
      *place = static_cast<int64_t>(values_->size() + hash % oov_buckets_);
    } else {
      *cell = Cell::kMissing;
    }
  }

  const uint64_t oov_buckets_;
  const KeyRule rule_{"", /*buckets=*/0, /*identity=*/false};
  Values values_;
  bool integers_ = false;
  std::unordered_map<uint64_t, int64_t> places_of_integers_;
  std::unordered_map<std::string_view, int64_t> places_of_strings_;  // views of values_
};

}  // namespace

Result<std::unique_ptr<ColumnTransform>> MakeVocabulary(const TransformSource& source) {
  const VocabularyConfig& config = source.config.vocabulary();
  const arrow::DataType& element = ElementType(*source.types[0].type);
  if (!IsIntegerType(element) && !IsStringType(element)) return RefuseType(source, 0, "integers or strings");
  if (!config.has_path()) {
    return Vocabulary::Make(
        source, std::make_shared<const std::vector<std::string>>(config.values().begin(), config.values().end()));
  }
  WEIR_ASSIGN_OR_RETURN(Values values, source.files->Lines(config.path(), config.file()));
  auto made = Vocabulary::Make(source, std::move(values));
  if (!made.ok()) return made.status().Wrap(config.path());
  return made;
}

}  // namespace weir
