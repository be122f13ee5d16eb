#include "data_loader/formats/tf_record.h"

#include <cstring>

#include <arrow/io/interfaces.h>
#include <arrow/result.h>
#include <fmt/format.h>

#include "base/crc32c.h"
#include "data_loader/formats/row_group_cutter.h"
#include "data_loader/lake/arrow_status.h"

namespace weir {
namespace {

constexpr int64_t kReadBytes = 256 << 10;

template <typename T>
T LittleEndian(const char* bytes) {
  T value;
  std::memcpy(&value, bytes, sizeof(value));
  return value;
}

Status Torn(size_t expected, size_t found) {
  return DataLoss(fmt::format("expected a record of {} bytes, found {}: the file is torn", expected, found));
}

}  // namespace

Result<int64_t> TfRecordDataBytes(std::string_view record) {
  if (record.size() < kTfRecordHeaderBytes) return Torn(kTfRecordFramingBytes, record.size());
  if (MaskedCrc32c(record.substr(0, 8)) != LittleEndian<uint32_t>(record.data() + 8)) {
    return DataLoss("the checksum of a record's length does not fit: it is damaged, or this is no TFRecord file");
  }
  const auto bytes = LittleEndian<uint64_t>(record.data());
  if (bytes > kRowBytesMax - kTfRecordFramingBytes) {
    return InvalidArgument(fmt::format("expected records of at most {} bytes, found one of {}",
                                       kRowBytesMax - kTfRecordFramingBytes, bytes));
  }
  return static_cast<int64_t>(bytes);
}

Result<std::string_view> TakeTfRecord(std::string_view* records) {
  WEIR_ASSIGN_OR_RETURN(const int64_t bytes, TfRecordDataBytes(*records));
  const size_t record_bytes = bytes + kTfRecordFramingBytes;
  if (records->size() < record_bytes) return Torn(record_bytes, records->size());
  const std::string_view data = records->substr(kTfRecordHeaderBytes, bytes);
  if (MaskedCrc32c(data) != LittleEndian<uint32_t>(data.data() + data.size())) {
    return DataLoss("the checksum of a record's data does not fit");
  }
  records->remove_prefix(record_bytes);
  return data;
}

Result<std::vector<RowGroup>> IndexTfRecords(arrow::io::RandomAccessFile* file, const std::string& path) {
  RowGroupCutter cutter(0);
  std::vector<char> buffer(kReadBytes);
  std::string_view read;  // from `offset` on
  int64_t offset = 0;
  while (true) {
    if (read.size() < kTfRecordHeaderBytes) {
      WEIR_ASSIGN_OR_RETURN(const int64_t bytes, FromArrow(file->ReadAt(offset, kReadBytes, buffer.data()), path));
      read = std::string_view(buffer.data(), static_cast<size_t>(bytes));
      if (read.empty()) break;
    }
    auto bytes = TfRecordDataBytes(read);
    if (!bytes.ok()) return bytes.status().Wrap(fmt::format("{}: byte {}", path, offset));
    const int64_t record_bytes = *bytes + kTfRecordFramingBytes;
    offset += record_bytes;
    read = record_bytes < static_cast<int64_t>(read.size()) ? read.substr(record_bytes) : std::string_view();
    cutter.EndRow(offset);
  }
  WEIR_ASSIGN_OR_RETURN(const int64_t size, FromArrow(file->GetSize(), path));
  if (offset > size) {
    return DataLoss(fmt::format("{}: expected a last record up to byte {}, found the file's end at byte {}: it is torn",
                                path, offset, size));
  }
  cutter.Finish(offset);
  return cutter.TakeGroups();
}

}  // namespace weir
