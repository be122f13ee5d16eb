// RowStream: the rows of a run of pieces, in order, as record batches.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include <arrow/type_fwd.h>

#include "base/status.h"
#include "data_loader/dataset.h"
#include "data_loader/formats/lake_file.h"
#include "data_loader/plan.h"

namespace weir {

// Consecutive rows of one file.
struct StreamRows {
  std::shared_ptr<arrow::RecordBatch> rows;
  int file = 0;           // index into the dataset
  int64_t first_row = 0;  // in the file
};

// One thread. Holds one open row group and what was decoded of it (at most batch_rows rows).
class RowStream {
 public:
  // dataset: must outlive the stream. dictionaries: the dataset's dictionary_columns() may come as such; who extracts
  // then keeps their keys (KeptKeys).
  RowStream(const Dataset* dataset, std::vector<Piece> pieces, int64_t batch_rows, bool dictionaries)
      : dataset_(dataset), pieces_(std::move(pieces)), batch_rows_(batch_rows), dictionaries_(dictionaries) {
    BeginPiece();
  }

  // The next rows, 1 to rows_max; false at the end.
  Result<bool> Next(int64_t rows_max, StreamRows* out);
  // Leaves out the next `rows`; whole pieces are not opened.
  Status Skip(int64_t rows);

 private:
  void BeginPiece() {
    reader_.reset();
    if (piece_ < pieces_.size()) row_ = pieces_[piece_].begin;
  }
  // Decodes on until rows are pending or the pieces end.
  Status Decode();

  const Dataset* const dataset_;
  const std::vector<Piece> pieces_;
  const int64_t batch_rows_;
  const bool dictionaries_;
  size_t piece_ = 0;
  int64_t row_ = 0;  // of the piece's row group: the next to be given out
  std::unique_ptr<RowReader> reader_;
  std::shared_ptr<arrow::RecordBatch> pending_;  // null or with rows; begins at row_
};

}  // namespace weir
