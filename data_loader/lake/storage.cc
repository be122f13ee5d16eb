#include "data_loader/lake/storage.h"

#include <fmt/format.h>

namespace weir {

Status ChangedFile(const StoredFile& expected, const std::string& found) {
  return DataLoss(
      fmt::format("{}: the file was changed while it was read: expected the one of {} bytes that was there at the "
                  "start, {}; start the run again, with files that stay as they are",
                  expected.path, expected.bytes, found));
}

}  // namespace weir
