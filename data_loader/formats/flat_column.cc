#include "data_loader/formats/flat_column.h"

#include <algorithm>
#include <array>
#include <atomic>
#include <concepts>
#include <cstring>
#include <map>
#include <type_traits>
#include <utility>
#include <vector>

#include <arrow/array.h>
#include <arrow/buffer.h>
#include <arrow/type.h>
#include <arrow/util/bit_util.h>
#include <fmt/format.h>
#include <parquet/encoding.h>
#include <parquet/exception.h>
#include <parquet/schema.h>
#include <parquet/types.h>

#include "data_loader/columns/dictionary_indices.h"
#include "data_loader/formats/flat_pages.h"
#include "data_loader/lake/arrow_status.h"
#include "data_loader/lake/decode_memory.h"

namespace weir {
namespace {

// Rows that are left out at a time.
constexpr int64_t kSkipRows = 4096;

bool IsDictionaryEncoding(parquet::Encoding::type encoding) {
  return encoding == parquet::Encoding::PLAIN_DICTIONARY || encoding == parquet::Encoding::RLE_DICTIONARY;
}

// Memory for an array that goes out, taken again for the next one once nobody holds it: it is still in the cache then,
// and no allocator is asked.
class OutBuffer {
 public:
  // `bytes` bytes of any content.
  Result<uint8_t*> Begin(int64_t bytes) {
    // Another thread may have been the last to read the array.
    if (buffer_ != nullptr && buffer_.use_count() == 1) {
      std::atomic_thread_fence(std::memory_order_acquire);
    } else {
      buffer_.reset();
    }
    if (buffer_ == nullptr) {
      WEIR_ASSIGN_OR_RETURN(std::unique_ptr<arrow::ResizableBuffer> made,
                            FromArrow(arrow::AllocateResizableBuffer(bytes, DecodeMemory()), "a column's values"));
      buffer_ = std::move(made);
    }
    WEIR_RETURN_IF_ERROR(Resize(bytes));
    return buffer_->mutable_data();
  }
  // Keeps the content.
  Status Resize(int64_t bytes) {
    return FromArrow(buffer_->Resize(bytes, /*shrink_to_fit=*/false), "a column's values");
  }

  uint8_t* data() { return buffer_->mutable_data(); }
  const std::shared_ptr<arrow::ResizableBuffer>& buffer() const { return buffer_; }

 private:
  std::shared_ptr<arrow::ResizableBuffer> buffer_;
};

// Moves `present` values, which lie end to end, to the places of the `rows` rows whose bits are set, from bit `first`
// on; the other rows get a value that means nothing.
template <typename T>
void Spread(T* values, int64_t rows, int64_t present, const uint8_t* bits, int64_t first) {
  for (int64_t i = rows - 1; i >= 0 && present <= i; --i) {
    values[i] = arrow::bit_util::GetBit(bits, first + i) ? values[--present] : T();
  }
}

// What all flat columns share: pages, dictionaries, nulls. DType: Parquet's physical type.
template <typename DType>
class TypedColumn : public ParquetColumn {
 public:
  using T = typename DType::c_type;

  TypedColumn(const parquet::ColumnDescriptor* column, std::shared_ptr<arrow::DataType> type,
              std::unique_ptr<parquet::PageReader> pages, int64_t skip)
      : type_(std::move(type)), column_(column), pages_(std::move(pages), column->max_definition_level() > 0, skip) {}

  Result<std::shared_ptr<arrow::Array>> Read(int64_t rows) final {
    while (true) {
      WEIR_RETURN_IF_ERROR(NeedRows(rows));
      const int64_t skipped = std::min({pages_.skip(), pages_.rows_left(), kSkipRows});
      if (skipped <= 0) break;
      pages_.Skipped(skipped);
      WEIR_RETURN_IF_ERROR(ReadRows(skipped).status());
    }
    return ReadRows(rows);
  }

  void AcceptDictionary() final { accepts_dictionary_ = CanHandOutDictionary(); }

 protected:
  // The values of an array of `rows` rows come in pieces: each of `rows` rows from row `first` on, `present` of which
  // are not null (see validity()).
  virtual Status BeginValues(int64_t rows) = 0;
  virtual Status DecodeValues(parquet::TypedDecoder<DType>* decoder, int64_t first, int64_t rows, int64_t present) = 0;
  // The same from indices into dictionary(), one a row; those of rows that are null are 0.
  virtual Status LookUpValues(const int32_t* indices, int64_t first, int64_t rows) = 0;
  virtual Result<std::shared_ptr<arrow::Array>> FinishValues(int64_t rows) = 0;
  // The dictionary as an array of type_, for AcceptDictionary().
  virtual bool CanHandOutDictionary() const = 0;
  virtual Result<std::shared_ptr<arrow::Array>> MakeDictionary() = 0;

  const Validity& validity() const { return validity_; }
  // The chunk's dictionary; valid as long as the column is.
  std::pair<const T*, int32_t> dictionary() const {
    const T* values = nullptr;
    int32_t size = 0;
    dictionary_->GetDictionary(&values, &size);
    return {values, size};
  }
  // The next `present` values of the page, end to end.
  static Status Decode(parquet::TypedDecoder<DType>* decoder, int64_t present, T* out) {
    return Complete(decoder->Decode(out, static_cast<int>(present)), present);
  }

  const std::shared_ptr<arrow::DataType> type_;

 private:
  static Status Complete(int64_t found, int64_t expected) {
    if (found == expected) return Status();
    return DataLoss(fmt::format("expected {} more values in a page, found {}", expected, found));
  }

  // Until the page has rows. `rows`: those wanted, for the message.
  Status NeedRows(int64_t rows) {
    while (pages_.rows_left() == 0) {
      std::shared_ptr<parquet::DictionaryPage> dictionary;
      WEIR_ASSIGN_OR_RETURN(const bool more, pages_.Next(&dictionary));
      if (!more) return DataLoss(fmt::format("expected {} more rows, found none", rows));
      WEIR_RETURN_IF_ERROR(dictionary != nullptr ? SetDictionary(*dictionary) : SetValues());
    }
    return Status();
  }

  Status SetDictionary(const parquet::DictionaryPage& page) {
    if (dictionary_ != nullptr) return DataLoss("expected one dictionary, found a second");
    if (page.encoding() != parquet::Encoding::PLAIN && page.encoding() != parquet::Encoding::PLAIN_DICTIONARY) {
      return DataLoss(fmt::format("expected a plain dictionary, found encoding {}", static_cast<int>(page.encoding())));
    }
    // Booleans have none; of strings a length of 4 bytes is the least.
    const int64_t value_bytes = std::is_same_v<DType, parquet::ByteArrayType> ? 4 : sizeof(T);
    if (page.num_values() < 0 || page.num_values() > page.size() / value_bytes) {
      return DataLoss(fmt::format("expected a dictionary of at most {} bytes, found one of {} values", page.size(),
                                  page.num_values()));
    }
    auto plain = parquet::MakeTypedDecoder<DType>(parquet::Encoding::PLAIN, column_, DecodeMemory());
    plain->SetData(page.num_values(), page.data(), page.size());
    dictionary_ = parquet::MakeDictDecoder<DType>(column_, DecodeMemory());
    dictionary_->SetDict(plain.get());
    return Status();
  }

  // The decoder of the page's values.
  Status SetValues() {
    page_has_indices_ = IsDictionaryEncoding(pages_.encoding());
    if (page_has_indices_) {
      if (dictionary_ == nullptr) return DataLoss("expected a dictionary before the first page of indices, found none");
      decoder_ = dictionary_.get();
    } else {
      auto& decoder = decoders_[pages_.encoding()];
      if (decoder == nullptr) {
        decoder = parquet::MakeTypedDecoder<DType>(pages_.encoding(), column_, DecodeMemory());
        if (decoder == nullptr)
          return DataLoss(
              fmt::format("found encoding {}, which the type does not have", static_cast<int>(pages_.encoding())));
      }
      decoder_ = decoder.get();
    }
    decoder_->SetData(pages_.num_values(), pages_.values(), pages_.values_bytes());
    return Status();
  }

  Result<std::shared_ptr<arrow::Array>> ReadRows(int64_t rows) {
    validity_.Begin(rows);
    WEIR_RETURN_IF_ERROR(NeedRows(rows));
    bool as_indices = accepts_dictionary_ && page_has_indices_;
    if (!as_indices) WEIR_RETURN_IF_ERROR(BeginValues(rows));
    WEIR_RETURN_IF_ERROR(indices_.Begin(rows * static_cast<int64_t>(sizeof(int32_t))).status());
    for (int64_t done = 0; done < rows;) {
      WEIR_RETURN_IF_ERROR(NeedRows(rows - done));
      if (as_indices && !page_has_indices_) {
        // The writer gave up the dictionary within these rows.
        as_indices = false;
        WEIR_RETURN_IF_ERROR(BeginValues(rows));
        WEIR_RETURN_IF_ERROR(LookUpValues(indices(), 0, done));
      }
      const int64_t part = std::min(rows - done, pages_.rows_left());
      WEIR_ASSIGN_OR_RETURN(const int64_t present, pages_.TakeRows(part, &validity_));
      if (page_has_indices_) {
        WEIR_RETURN_IF_ERROR(DecodeIndices(done, part, present));
        if (!as_indices) WEIR_RETURN_IF_ERROR(LookUpValues(indices() + done, done, part));
      } else {
        WEIR_RETURN_IF_ERROR(DecodeValues(decoder_, done, part, present));
      }
      done += part;
    }
    return as_indices ? FinishIndices(rows) : FinishValues(rows);
  }

  int32_t* indices() { return reinterpret_cast<int32_t*>(indices_.data()); }

  Status DecodeIndices(int64_t first, int64_t rows, int64_t present) {
    int32_t* out = indices() + first;
    WEIR_RETURN_IF_ERROR(Complete(dictionary_->DecodeIndices(static_cast<int>(present), out), present));
    const int32_t size = dictionary().second;
    if (!AllBelow(size, {out, static_cast<size_t>(present)})) {
      return DataLoss(fmt::format("expected indices below the {} values of the dictionary, found others", size));
    }
    if (present < rows) Spread(out, rows, present, validity_.bitmap()->data(), first);
    return Status();
  }

  Result<std::shared_ptr<arrow::Array>> FinishIndices(int64_t rows) {
    if (dictionary_array_ == nullptr) {
      WEIR_ASSIGN_OR_RETURN(dictionary_array_, MakeDictionary());
      dictionary_type_ = arrow::dictionary(arrow::int32(), type_);
    }
    auto indices =
        std::make_shared<arrow::Int32Array>(rows, indices_.buffer(), validity_.bitmap(), validity_.null_count());
    return std::shared_ptr<arrow::Array>(
        std::make_shared<arrow::DictionaryArray>(dictionary_type_, std::move(indices), dictionary_array_));
  }

  const parquet::ColumnDescriptor* const column_;
  FlatPages pages_;
  Validity validity_;
  std::unique_ptr<parquet::DictDecoder<DType>> dictionary_;
  std::map<parquet::Encoding::type, std::unique_ptr<parquet::TypedDecoder<DType>>> decoders_;
  parquet::TypedDecoder<DType>* decoder_ = nullptr;  // of the page
  bool page_has_indices_ = false;
  bool accepts_dictionary_ = false;
  OutBuffer indices_;
  std::shared_ptr<arrow::Array> dictionary_array_;
  std::shared_ptr<arrow::DataType> dictionary_type_;
};

// Numbers: Out is the array's type, which Parquet widens to 32 bits.
template <typename DType, typename Out>
class NumberColumn : public TypedColumn<DType> {
 public:
  using Base = TypedColumn<DType>;
  using T = typename DType::c_type;
  using Base::Base;

 protected:
  static constexpr bool kWidened = sizeof(Out) < sizeof(T);

  Status BeginValues(int64_t rows) override { return values_.Begin(rows * sizeof(Out)).status(); }

  Status DecodeValues(parquet::TypedDecoder<DType>* decoder, int64_t first, int64_t rows, int64_t present) override {
    Out* out = reinterpret_cast<Out*>(values_.data()) + first;
    if constexpr (kWidened) {
      wide_.resize(std::max<size_t>(wide_.size(), present));
      WEIR_RETURN_IF_ERROR(Base::Decode(decoder, present, wide_.data()));
      for (int64_t i = 0; i < present; ++i) out[i] = static_cast<Out>(wide_[i]);
    } else {
      WEIR_RETURN_IF_ERROR(Base::Decode(decoder, present, reinterpret_cast<T*>(out)));
    }
    if (present < rows) Spread(out, rows, present, Base::validity().bitmap()->data(), first);
    return Status();
  }

  Status LookUpValues(const int32_t* indices, int64_t first, int64_t rows) override {
    const auto [values, size] = Base::dictionary();
    Out* out = reinterpret_cast<Out*>(values_.data()) + first;
    // Rows that are null alone need no dictionary.
    if (size == 0) {
      std::fill_n(out, rows, Out());
    } else {
      for (int64_t i = 0; i < rows; ++i) out[i] = static_cast<Out>(values[indices[i]]);
    }
    return Status();
  }

  Result<std::shared_ptr<arrow::Array>> FinishValues(int64_t rows) override {
    return MakeArrayOf(rows, values_.buffer(), Base::validity().bitmap(), Base::validity().null_count());
  }

  bool CanHandOutDictionary() const override { return std::is_integral_v<Out> && !kWidened; }

  Result<std::shared_ptr<arrow::Array>> MakeDictionary() override {
    const auto [values, size] = Base::dictionary();
    OutBuffer copy;
    WEIR_ASSIGN_OR_RETURN(uint8_t * bytes, copy.Begin(size * static_cast<int64_t>(sizeof(Out))));
    if (size > 0) std::memcpy(bytes, values, size * sizeof(Out));
    return MakeArrayOf(size, copy.buffer(), nullptr, 0);
  }

 private:
  std::shared_ptr<arrow::Array> MakeArrayOf(int64_t rows, std::shared_ptr<arrow::Buffer> values,
                                            std::shared_ptr<arrow::Buffer> bitmap, int64_t null_count) const {
    return arrow::MakeArray(
        arrow::ArrayData::Make(this->type_, rows, {std::move(bitmap), std::move(values)}, null_count));
  }

  OutBuffer values_;
  std::vector<T> wide_;
};

class BooleanColumn : public TypedColumn<parquet::BooleanType> {
 public:
  using TypedColumn::TypedColumn;

 protected:
  Status BeginValues(int64_t rows) override {
    const int64_t bytes = arrow::bit_util::BytesForBits(rows);
    WEIR_ASSIGN_OR_RETURN(uint8_t * bits, bits_.Begin(bytes));
    std::memset(bits, 0, bytes);
    return Status();
  }

  Status DecodeValues(parquet::TypedDecoder<parquet::BooleanType>* decoder, int64_t first, int64_t rows,
                      int64_t present) override {
    if (capacity_ < rows) {
      values_ = std::make_unique<bool[]>(rows);
      capacity_ = rows;
    }
    WEIR_RETURN_IF_ERROR(Decode(decoder, present, values_.get()));
    if (present < rows) Spread(values_.get(), rows, present, validity().bitmap()->data(), first);
    for (int64_t i = 0; i < rows; ++i) {
      if (values_[i]) arrow::bit_util::SetBit(bits_.data(), first + i);
    }
    return Status();
  }

  Status LookUpValues(const int32_t*, int64_t, int64_t) override { return Internal("booleans have no dictionary"); }

  Result<std::shared_ptr<arrow::Array>> FinishValues(int64_t rows) override {
    return std::shared_ptr<arrow::Array>(
        std::make_shared<arrow::BooleanArray>(rows, bits_.buffer(), validity().bitmap(), validity().null_count()));
  }

  bool CanHandOutDictionary() const override { return false; }
  Result<std::shared_ptr<arrow::Array>> MakeDictionary() override { return Internal("booleans have no dictionary"); }

 private:
  OutBuffer bits_;
  std::unique_ptr<bool[]> values_;
  int64_t capacity_ = 0;
};

// Strings and binary; Offset is int32_t or int64_t.
template <typename Offset>
class BytesColumn : public TypedColumn<parquet::ByteArrayType> {
 public:
  using TypedColumn::TypedColumn;

 protected:
  Status BeginValues(int64_t rows) override {
    WEIR_RETURN_IF_ERROR(offsets_.Begin((rows + 1) * static_cast<int64_t>(sizeof(Offset))).status());
    ends()[0] = 0;
    end_ = 0;
    return bytes_.Begin(0).status();
  }

  Status DecodeValues(parquet::TypedDecoder<parquet::ByteArrayType>* decoder, int64_t first, int64_t rows,
                      int64_t present) override {
    values_.resize(std::max<size_t>(values_.size(), rows));
    WEIR_RETURN_IF_ERROR(Decode(decoder, present, values_.data()));
    if (present < rows) Spread(values_.data(), rows, present, validity().bitmap()->data(), first);
    return Append(first, rows, [&](int64_t i) { return values_[i]; });
  }

  Status LookUpValues(const int32_t* indices, int64_t first, int64_t rows) override {
    const auto [values, size] = dictionary();
    const parquet::ByteArray* entries = values;
    const bool empty = size == 0;
    return Append(first, rows, [&](int64_t i) {
      const bool null =
          empty || (validity().bitmap() != nullptr && !arrow::bit_util::GetBit(validity().bitmap()->data(), first + i));
      return null ? parquet::ByteArray() : entries[indices[i]];
    });
  }

  Result<std::shared_ptr<arrow::Array>> FinishValues(int64_t rows) override {
    return arrow::MakeArray(arrow::ArrayData::Make(
        type_, rows, {validity().bitmap(), offsets_.buffer(), bytes_.buffer()}, validity().null_count()));
  }

  bool CanHandOutDictionary() const override { return true; }

  Result<std::shared_ptr<arrow::Array>> MakeDictionary() override {
    const auto [values, size] = dictionary();
    const parquet::ByteArray* entries = values;
    OutBuffer offsets, bytes;
    std::swap(offsets, offsets_);
    std::swap(bytes, bytes_);
    WEIR_RETURN_IF_ERROR(BeginValues(size));
    WEIR_RETURN_IF_ERROR(Append(0, size, [&](int64_t i) { return entries[i]; }));
    auto made = arrow::MakeArray(
        arrow::ArrayData::Make(type_, size, {nullptr, offsets_.buffer(), bytes_.buffer()}, /*null_count=*/0));
    std::swap(offsets, offsets_);
    std::swap(bytes, bytes_);
    return made;
  }

 private:
  Offset* ends() { return reinterpret_cast<Offset*>(offsets_.data()); }

  // Copies value_of(i) for i in [0, rows) behind what is there, as rows from `first` on.
  template <typename ValueOf>
  Status Append(int64_t first, int64_t rows, const ValueOf& value_of) {
    int64_t bytes = end_;
    for (int64_t i = 0; i < rows; ++i) {
      bytes += value_of(i).len;
      ends()[first + i + 1] = static_cast<Offset>(bytes);
    }
    // With 64-bit offsets too: a few bytes of a file may ask for a long entry of the dictionary again and again.
    if (bytes > INT32_MAX) {
      return ResourceExhausted(
          fmt::format("expected strings of less than 2^31 bytes in {} rows, found {} bytes", first + rows, bytes));
    }
    WEIR_RETURN_IF_ERROR(bytes_.Resize(bytes));
    uint8_t* out = bytes_.data() + end_;
    for (int64_t i = 0; i < rows; ++i) {
      const parquet::ByteArray value = value_of(i);
      if (value.len > 0) std::memcpy(out, value.ptr, value.len);
      out += value.len;
    }
    end_ = bytes;
    return Status();
  }

  OutBuffer offsets_;
  OutBuffer bytes_;
  int64_t end_ = 0;  // bytes so far
  std::vector<parquet::ByteArray> values_;
};

// What reads Parquet's type as Arrow's; null where none does.
using Make = std::unique_ptr<ParquetColumn> (*)(const parquet::ColumnDescriptor*, std::shared_ptr<arrow::DataType>,
                                                std::unique_ptr<parquet::PageReader>, int64_t);

template <typename Column>
Make Maker() {
  return [](const parquet::ColumnDescriptor* column, std::shared_ptr<arrow::DataType> type,
            std::unique_ptr<parquet::PageReader> pages, int64_t skip) -> std::unique_ptr<ParquetColumn> {
    return std::make_unique<Column>(column, std::move(type), std::move(pages), skip);
  };
}

Make MakerOf(parquet::Type::type physical, arrow::Type::type type) {
  using parquet::Int32Type, parquet::Int64Type;
  struct Kind {
    parquet::Type::type physical;
    arrow::Type::type type;
    Make make;
  };
  static const Kind kKinds[] = {
      {parquet::Type::BOOLEAN, arrow::Type::BOOL, Maker<BooleanColumn>()},
      {parquet::Type::INT32, arrow::Type::INT8, Maker<NumberColumn<Int32Type, int8_t>>()},
      {parquet::Type::INT32, arrow::Type::INT16, Maker<NumberColumn<Int32Type, int16_t>>()},
      {parquet::Type::INT32, arrow::Type::INT32, Maker<NumberColumn<Int32Type, int32_t>>()},
      {parquet::Type::INT32, arrow::Type::UINT8, Maker<NumberColumn<Int32Type, uint8_t>>()},
      {parquet::Type::INT32, arrow::Type::UINT16, Maker<NumberColumn<Int32Type, uint16_t>>()},
      {parquet::Type::INT32, arrow::Type::UINT32, Maker<NumberColumn<Int32Type, uint32_t>>()},
      {parquet::Type::INT64, arrow::Type::INT64, Maker<NumberColumn<Int64Type, int64_t>>()},
      {parquet::Type::INT64, arrow::Type::UINT64, Maker<NumberColumn<Int64Type, uint64_t>>()},
      {parquet::Type::FLOAT, arrow::Type::FLOAT, Maker<NumberColumn<parquet::FloatType, float>>()},
      {parquet::Type::DOUBLE, arrow::Type::DOUBLE, Maker<NumberColumn<parquet::DoubleType, double>>()},
      {parquet::Type::BYTE_ARRAY, arrow::Type::STRING, Maker<BytesColumn<int32_t>>()},
      {parquet::Type::BYTE_ARRAY, arrow::Type::BINARY, Maker<BytesColumn<int32_t>>()},
      {parquet::Type::BYTE_ARRAY, arrow::Type::LARGE_STRING, Maker<BytesColumn<int64_t>>()},
      {parquet::Type::BYTE_ARRAY, arrow::Type::LARGE_BINARY, Maker<BytesColumn<int64_t>>()},
  };
  for (const Kind& kind : kKinds) {
    if (kind.physical == physical && kind.type == type) return kind.make;
  }
  return nullptr;
}

}  // namespace

bool IsFlatColumn(const parquet::ColumnDescriptor& column, const arrow::DataType& type) {
  return column.max_repetition_level() == 0 && column.max_definition_level() <= 1 &&
         column.path()->ToDotVector().size() == 1 && MakerOf(column.physical_type(), type.id()) != nullptr;
}

std::unique_ptr<ParquetColumn> MakeFlatColumn(const parquet::ColumnDescriptor* column,
                                              std::shared_ptr<arrow::DataType> type,
                                              std::unique_ptr<parquet::PageReader> pages, int64_t skip) {
  const Make make = MakerOf(column->physical_type(), type->id());
  return make(column, std::move(type), std::move(pages), skip);
}

}  // namespace weir
