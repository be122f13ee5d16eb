// The walk over the messages of Arrow IPC, for libFuzzer.
//   cmake --preset fuzz && ninja -C build-fuzz arrow_messages_fuzz
//   build-fuzz/arrow_messages_fuzz -max_total_time=600 -max_len=4096 CORPUS       where CORPUS has streams
#include <cstdint>
#include <cstdlib>
#include <memory>

#include <arrow/buffer.h>
#include <arrow/io/memory.h>

#include "data_loader/formats/arrow_messages.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const auto bytes = static_cast<int64_t>(size);
  arrow::io::BufferReader file(std::make_shared<arrow::Buffer>(data, bytes));
  const auto messages = weir::ListArrowMessages(&file, 0, bytes);
  if (!messages.ok()) return 0;
  int64_t offset = 0;
  for (const weir::ArrowMessage& message : *messages) {
    if (message.offset_bytes != offset || message.size_bytes <= 0 || message.rows < 0) std::abort();
    offset += message.size_bytes;
  }
  if (offset > bytes) std::abort();
  return 0;
}
