#include "data_loader/row_stream.h"

#include <algorithm>

#include <arrow/record_batch.h>
#include <fmt/format.h>

namespace weir {

Status RowStream::Decode() {
  while (pending_ == nullptr && piece_ < pieces_.size()) {
    const Piece& piece = pieces_[piece_];
    const LakeFile& file = dataset_->file(piece.file);
    if (row_ == piece.end) {
      ++piece_;
      BeginPiece();
      continue;
    }
    if (reader_ == nullptr) {
      WEIR_ASSIGN_OR_RETURN(reader_,
                            file.Read(piece.group, row_, piece.end, dataset_->columns(piece.file), batch_rows_));
      if (dictionaries_) reader_->AcceptDictionaries(dataset_->dictionary_columns(piece.file));
    }
    WEIR_ASSIGN_OR_RETURN(pending_, reader_->Next());
    if (pending_ == nullptr) {
      return DataLoss(
          fmt::format("{}: row group {}: expected rows up to {}, found {}", file.path(), piece.group, piece.end, row_));
    }
    if (pending_->num_rows() == 0) pending_.reset();
  }
  return Status();
}

Result<bool> RowStream::Next(int64_t rows_max, StreamRows* out) {
  WEIR_RETURN_IF_ERROR(Decode());
  if (pending_ == nullptr) return false;
  const Piece& piece = pieces_[piece_];
  const int64_t rows = std::min(rows_max, pending_->num_rows());
  out->file = piece.file;
  out->first_row = dataset_->file(piece.file).first_rows()[piece.group] + row_;
  out->rows = rows == pending_->num_rows() ? pending_ : pending_->Slice(0, rows);
  pending_ = rows == pending_->num_rows() ? nullptr : pending_->Slice(rows);
  row_ += rows;
  return true;
}

Status RowStream::Skip(int64_t rows) {
  while (rows > 0 && piece_ < pieces_.size()) {
    const int64_t left = pieces_[piece_].end - row_;
    if (rows >= left) {
      rows -= left;
      pending_.reset();
      ++piece_;
      BeginPiece();
    } else if (reader_ == nullptr) {
      row_ += rows;
      rows = 0;
    } else {
      WEIR_RETURN_IF_ERROR(Decode());
      const int64_t dropped = std::min(rows, pending_->num_rows());
      pending_ = dropped == pending_->num_rows() ? nullptr : pending_->Slice(dropped);
      row_ += dropped;
      rows -= dropped;
    }
  }
  return Status();
}

}  // namespace weir
