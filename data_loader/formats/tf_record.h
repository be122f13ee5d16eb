// The framing of TFRecord files, in which TensorFlow keeps its data:
//
//   file   := record*
//   record := length crc_of_length data crc_of_data
//   length := u64, the bytes of data;  both checksums := u32, MaskedCrc32c of the bytes of length, and of data
//
// All little-endian. Pure functions but for IndexTfRecords; thread-safe.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include <arrow/io/type_fwd.h>

#include "base/status.h"
#include "data_loader/formats/lake_file.h"

namespace weir {

constexpr int64_t kTfRecordHeaderBytes = 12;
constexpr int64_t kTfRecordFramingBytes = 16;

// The length in a record's first 12 bytes. DataLoss where the checksum does not fit or there are less, InvalidArgument
// where the record would be longer than kRowBytesMax.
Result<int64_t> TfRecordDataBytes(std::string_view record);

// Takes the first record off `records`: its data. DataLoss as above, and where the data are torn or their checksum does
// not fit.
Result<std::string_view> TakeTfRecord(std::string_view* records);

// Finds the records by their lengths, without reading what is in them. Errors name `path` and the record's first byte.
Result<std::vector<RowGroup>> IndexTfRecords(arrow::io::RandomAccessFile* file, const std::string& path);

}  // namespace weir
