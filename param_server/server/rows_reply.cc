#include "param_server/server/rows_reply.h"

#include <utility>

#include "param_server/wire_values.h"

namespace weir {

RowsReply::RowsReply(const PullMessage& pull, std::span<const TableFormat> formats)
    : pull_(pull), formats_(formats), payload_(RowsBytes(pull, formats)) {
  for (const TableKeys& table : pull_.tables) {
    const TableFormat& format = formats_[table.table];
    if (format.pull != WireConfig::FLOAT32) converted_ += table.asked().size() * format.dim;
  }
  values_ = Buffer(converted_ * sizeof(float));
}

std::vector<TablePull> RowsReply::pulls() {
  std::vector<TablePull> pulls;
  uint8_t* out = payload_.data();
  float* values = reinterpret_cast<float*>(values_.data());
  for (const TableKeys& table : pull_.tables) {
    const TableFormat& format = formats_[table.table];
    const bool travels_as_is = format.pull == WireConfig::FLOAT32;
    pulls.push_back({table.table, table.asked(), travels_as_is ? reinterpret_cast<float*>(out) : values});
    out += ValuesBytes(format.pull, table.asked().size(), format.dim);
    if (!travels_as_is) values += table.asked().size() * format.dim;
  }
  return pulls;
}

void RowsReply::EncodeSome(std::span<const std::vector<uint32_t>> positions, uint8_t* out) {
  const std::vector<TablePull> rows = pulls();
  for (size_t i = 0; i < rows.size(); ++i) {
    const TableFormat& format = formats_[rows[i].table];
    uint8_t* to = out;
    for (const uint32_t position : positions[i]) {
      EncodeValues(format.pull, rows[i].rows + size_t{position} * format.dim, format.dim, to);
      to += format.dim * WireValueBytes(format.pull);
    }
    ZeroPadding(format.pull, positions[i].size(), format.dim, out);
    out += ValuesBytes(format.pull, positions[i].size(), format.dim);
  }
}

Buffer RowsReply::TakeEarly(std::span<const std::vector<uint32_t>> positions) {
  EarlyRowsBuffer early = EncodeEarlyRows(pull_, positions, formats_);
  early_bitmap_bytes_ = early.values - early.payload.data();
  EncodeSome(positions, early.values);
  for (size_t i = 0; i < pull_.tables.size(); ++i)
    late_.push_back(OtherPositions(positions[i], pull_.tables[i].asked().size()));
  return std::move(early.payload);
}

void RowsReply::EncodeInPlace() {
  uint8_t* out = payload_.data();
  for (const TablePull& pull : pulls()) {
    const TableFormat& format = formats_[pull.table];
    if (format.pull != WireConfig::FLOAT32) {
      EncodeValues(format.pull, pull.rows, pull.keys.size() * format.dim, out);
      ZeroPadding(format.pull, pull.keys.size(), format.dim, out);
    }
    out += ValuesBytes(format.pull, pull.keys.size(), format.dim);
  }
}

Buffer RowsReply::Take() {
  if (late_.empty()) {
    if (converted_ > 0) EncodeInPlace();
    return std::move(payload_);
  }
  uint64_t bytes = 0;
  for (size_t i = 0; i < late_.size(); ++i) {
    const TableFormat& format = formats_[pull_.tables[i].table];
    bytes += ValuesBytes(format.pull, late_[i].size(), format.dim);
  }
  Buffer rest(bytes);
  EncodeSome(late_, rest.data());
  return rest;
}

}  // namespace weir
