// RowsReply: the rows that answer a pull over a connection, all at once or some ahead of the others.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "embeddings/store.h"
#include "param_server/row_messages.h"

namespace weir {

// The owner thread writes rows as float32, straight into the payload if they travel so and all together. One thread.
class RowsReply {
 public:
  // Both outlive it.
  RowsReply(const PullMessage& pull, std::span<const TableFormat> formats);

  // Where the rows are to be written.
  std::vector<TablePull> pulls();

  // An EarlyRows payload: the rows at these positions (by table, ascending), which are written.
  Buffer TakeEarly(std::span<const std::vector<uint32_t>> positions);
  // Of that payload, beside the rows.
  size_t early_bitmap_bytes() const { return early_bitmap_bytes_; }
  // A Rows payload: all rows that were not taken early, once they are written.
  Buffer Take();

 private:
  void EncodeInPlace();
  // Rows at the given positions, by table, one after the other as they travel.
  void EncodeSome(std::span<const std::vector<uint32_t>> positions, uint8_t* out);

  const PullMessage& pull_;
  const std::span<const TableFormat> formats_;
  Buffer payload_;
  Buffer values_;  // of tables whose rows travel otherwise
  size_t converted_ = 0;
  size_t early_bitmap_bytes_ = 0;
  std::vector<std::vector<uint32_t>> late_;  // if some were taken early: the positions of the others
};

}  // namespace weir
