#include "data_loader/formats/flat_pages.h"

#include <algorithm>
#include <cstring>

#include <arrow/buffer.h>
#include <arrow/util/bit_util.h>
#include <fmt/format.h>

#include "data_loader/lake/arrow_status.h"
#include "data_loader/lake/decode_memory.h"

namespace weir {
namespace {

// Whether definition levels of one bit ("RLE / bit-packing hybrid" of the Parquet format) begin with a run of ones over
// all rows: what writers make of a page without nulls.
bool BeginsWithOnes(const uint8_t* levels, int64_t bytes, int64_t rows) {
  uint64_t header = 0;
  int64_t at = 0;
  for (int shift = 0; at < bytes && shift < 35; shift += 7) {
    const uint8_t byte = levels[at++];
    header |= static_cast<uint64_t>(byte & 0x7f) << shift;
    if (byte < 0x80) break;
  }
  const bool is_run = (header & 1) == 0;
  return is_run && static_cast<int64_t>(header >> 1) >= rows && at < bytes && levels[at] == 1;
}

}  // namespace

void Validity::Begin(int64_t rows) {
  rows_max_ = rows;
  rows_ = null_count_ = 0;
  bitmap_.reset();
}

void Validity::AppendPresent(int64_t rows) {
  if (bitmap_ != nullptr) arrow::bit_util::SetBitsTo(bitmap_->mutable_data(), rows_, rows, true);
  rows_ += rows;
}

Result<int64_t> Validity::Append(const int16_t* levels, int64_t rows) {
  const int64_t present = std::count(levels, levels + rows, int16_t{1});
  if (present == rows) {
    AppendPresent(rows);
    return present;
  }
  if (bitmap_ == nullptr) {
    const int64_t bytes = arrow::bit_util::BytesForBits(rows_max_);
    WEIR_ASSIGN_OR_RETURN(std::unique_ptr<arrow::ResizableBuffer> bitmap,
                          FromArrow(arrow::AllocateResizableBuffer(bytes, DecodeMemory()), "a bitmap of nulls"));
    bitmap_ = std::move(bitmap);
    std::memset(bitmap_->mutable_data(), 0, bytes);
    arrow::bit_util::SetBitsTo(bitmap_->mutable_data(), 0, rows_, true);
  }
  uint8_t* bits = bitmap_->mutable_data();
  for (int64_t i = 0; i < rows; ++i) {
    if (levels[i] == 1) arrow::bit_util::SetBit(bits, rows_ + i);
  }
  rows_ += rows;
  null_count_ += rows - present;
  return present;
}

FlatPages::FlatPages(std::unique_ptr<parquet::PageReader> pages, bool optional, int64_t skip)
    : pages_(std::move(pages)), optional_(optional), skip_(skip) {
  if (skip_ == 0) return;
  pages_->set_data_page_filter([this](const parquet::DataPageStats& page) {
    if (page.num_values < 0 || page.num_values > skip_) return false;
    skip_ -= page.num_values;
    return true;
  });
}

Result<bool> FlatPages::Next(std::shared_ptr<parquet::DictionaryPage>* dictionary) {
  dictionary->reset();
  page_.reset();
  rows_left_ = 0;
  while (rows_left_ == 0) {
    std::shared_ptr<parquet::Page> page = pages_->NextPage();
    if (page == nullptr) return false;
    if (page->type() == parquet::PageType::DICTIONARY_PAGE) {
      // A dictionary's bytes lie where those of the next page will, so that the caller has to take it now.
      *dictionary = std::static_pointer_cast<parquet::DictionaryPage>(page);
      return true;
    }
    page_ = std::static_pointer_cast<parquet::DataPage>(page);
    WEIR_RETURN_IF_ERROR(BeginPage());
  }
  return true;
}

Status FlatPages::BeginPage() {
  const int64_t rows = page_->num_values();
  if (rows < 0) return DataLoss(fmt::format("expected a page of 0 or more values, found {}", rows));
  levels_bytes_ = 0;
  all_present_ = !optional_;
  if (page_->type() == parquet::PageType::DATA_PAGE) {
    const auto& page = static_cast<const parquet::DataPageV1&>(*page_);
    if (optional_) {
      levels_bytes_ = levels_.SetData(page.definition_level_encoding(), /*max_level=*/1, static_cast<int>(rows),
                                      page.data(), page.size());
      constexpr int kLengthBytes = 4;
      all_present_ = page.definition_level_encoding() == parquet::Encoding::RLE &&
                     BeginsWithOnes(page.data() + kLengthBytes, levels_bytes_ - kLengthBytes, rows);
    }
  } else {
    const auto& page = static_cast<const parquet::DataPageV2&>(*page_);
    const int64_t repetition = page.repetition_levels_byte_length(), definition = page.definition_levels_byte_length();
    if (repetition < 0 || definition < 0 || repetition + definition > page.size()) {
      return DataLoss(fmt::format("expected levels within a page's {} bytes, found {} and {} bytes of them",
                                  page.size(), repetition, definition));
    }
    levels_bytes_ = static_cast<int>(repetition + definition);
    if (optional_) {
      const uint8_t* levels = page.data() + repetition;
      levels_.SetDataV2(static_cast<int32_t>(definition), /*max_level=*/1, static_cast<int>(rows), levels);
      all_present_ = BeginsWithOnes(levels, definition, rows);
    }
  }
  rows_left_ = rows;
  return Status();
}

Result<int64_t> FlatPages::TakeRows(int64_t rows, Validity* validity) {
  rows_left_ -= rows;
  if (all_present_) {
    validity->AppendPresent(rows);
    return rows;
  }
  level_values_.resize(std::max<size_t>(level_values_.size(), rows));
  const int found = levels_.Decode(static_cast<int>(rows), level_values_.data());
  if (found != rows) return DataLoss(fmt::format("expected {} definition levels more, found {}", rows, found));
  return validity->Append(level_values_.data(), rows);
}

}  // namespace weir
