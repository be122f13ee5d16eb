// PageHeader: what stands before each page of a Parquet column, a struct of Thrift's compact protocol
// (parquet-format, parquet.thrift, PageHeader).
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

#include "base/status.h"

namespace weir {

struct PageHeader {
  enum Type : int32_t { kDataV1 = 0, kIndex = 1, kDictionary = 2, kDataV2 = 3 };

  int32_t type = -1;
  int32_t unpacked_bytes = -1;
  int32_t packed_bytes = -1;
  std::optional<uint32_t> crc;  // of the packed bytes

  // Of the struct of the page's type; that of another type is passed over.
  bool has_contents = false;
  int32_t num_values = -1;
  int32_t encoding = -1;
  int32_t definition_encoding = -1;       // V1
  int32_t repetition_encoding = -1;       // V1
  int32_t num_nulls = -1, num_rows = -1;  // V2
  int32_t definition_levels_bytes = -1;   // V2; never packed
  int32_t repetition_levels_bytes = -1;   // V2; never packed
  bool is_packed = true;                  // V2
};

// Parses the header at the start of `bytes`. Its size in bytes; 0 when it does not end within `bytes`. DataLoss when it
// is no such struct, or a length in it is below 0.
Result<int64_t> ParsePageHeader(std::string_view bytes, PageHeader* header);

}  // namespace weir
