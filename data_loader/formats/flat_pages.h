// FlatPages: the pages of a flat Parquet column as runs of rows: which of them are null, and where their values lie.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include <arrow/type_fwd.h>
#include <parquet/column_page.h>
#include <parquet/column_reader.h>

#include "base/status.h"

namespace weir {

// Which rows of an array are null, as it grows.
class Validity {
 public:
  // For an array of `rows` rows.
  void Begin(int64_t rows);
  void AppendPresent(int64_t rows);
  // One definition level a row: 0 is null. Returns the rows that are not.
  Result<int64_t> Append(const int16_t* levels, int64_t rows);

  int64_t null_count() const { return null_count_; }
  // Bit i is set when row i is not null; null when none is. Of the array that grows.
  const std::shared_ptr<arrow::ResizableBuffer>& bitmap() const { return bitmap_; }

 private:
  int64_t rows_max_ = 0;
  int64_t rows_ = 0;
  int64_t null_count_ = 0;
  std::shared_ptr<arrow::ResizableBuffer> bitmap_;
};

// One thread. Throws what Parquet throws.
class FlatPages {
 public:
  // Pages that lie wholly before row `skip` are passed over. optional: rows may be null.
  FlatPages(std::unique_ptr<parquet::PageReader> pages, bool optional, int64_t skip);

  // Goes on to the next data page that has rows or, with *dictionary set, to a dictionary page, which has none; false
  // after the last. Pages last until the next call.
  Result<bool> Next(std::shared_ptr<parquet::DictionaryPage>* dictionary);

  // Of the page: rows not yet taken.
  int64_t rows_left() const { return rows_left_; }
  // Rows still to be left out, all of this page. Only what was read so far is known.
  int64_t skip() const { return skip_; }
  void Skipped(int64_t rows) { skip_ -= rows; }

  // Of the page: how its values are encoded, and where they lie.
  parquet::Encoding::type encoding() const { return page_->encoding(); }
  int num_values() const { return page_->num_values(); }
  const uint8_t* values() const { return page_->data() + levels_bytes_; }
  int values_bytes() const { return page_->size() - levels_bytes_; }

  // The next `rows` rows of the page (at most rows_left()): appends to *validity which are null, and returns how many
  // are not, which is the number of values to decode.
  Result<int64_t> TakeRows(int64_t rows, Validity* validity);

 private:
  Status BeginPage();

  const std::unique_ptr<parquet::PageReader> pages_;
  const bool optional_;
  int64_t skip_;
  std::shared_ptr<parquet::DataPage> page_;
  int64_t rows_left_ = 0;
  int levels_bytes_ = 0;
  bool all_present_ = true;
  parquet::LevelDecoder levels_;
  std::vector<int16_t> level_values_;
};

}  // namespace weir
