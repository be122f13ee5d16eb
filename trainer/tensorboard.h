// EventWriter: scalars in TensorBoard's event files. docs/formats.md describes the framing.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "base/clock.h"
#include "base/file_system.h"
#include "base/status.h"

namespace weir {

// One TFRecord: length uint64, its masked CRC32C uint32, data, its masked CRC32C uint32; little-endian.
std::string TfRecord(std::string_view data);

// Writes one new file, "events.out.tfevents.SECONDS.HOST.PID.N". One thread. Errors name the file.
class EventWriter {
 public:
  // The folder is made when missing. The first record, the version of the format, is written at once.
  static Result<std::unique_ptr<EventWriter>> Create(FileSystem& file_system, const std::string& folder,
                                                     const Clock& clock = SystemClock());
  ~EventWriter();

  Status AddScalar(std::string_view tag, int64_t step, double value, double unix_s);
  // The same, now.
  Status AddScalar(std::string_view tag, int64_t step, double value);
  // Hands what was added to the operating system, where TensorBoard sees it.
  Status Flush();
  Status Close();

  const std::string& path() const { return path_; }

 private:
  EventWriter(std::string path, std::unique_ptr<WritableFile> file, const Clock& clock);
  Status AddRecord(std::string_view data);

  const std::string path_;
  std::unique_ptr<WritableFile> file_;
  const Clock& clock_;
  std::string buffer_;  // records not yet handed over
};

}  // namespace weir
