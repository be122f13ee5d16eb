// The index of gzip files, for libFuzzer: the text must be the same from whatever place it is read. The input's first
// byte says where.
//   cmake --preset fuzz && ninja -C build-fuzz gzip_fuzz
//   build-fuzz/gzip_fuzz -max_total_time=600 -max_len=65536 CORPUS       where CORPUS has gzip files behind a byte
#include <cstdint>
#include <cstdlib>
#include <memory>

#include <arrow/buffer.h>
#include <arrow/io/memory.h>

#include "data_loader/formats/gzip_file.h"

namespace {

constexpr int64_t kTextBytesMax = 8 << 20;

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size < 2) return 0;
  const auto packed = std::make_shared<arrow::io::BufferReader>(
      std::make_shared<arrow::Buffer>(data + 1, static_cast<int64_t>(size - 1)));
  const auto index = std::make_shared<weir::GzipIndex>(512);
  auto file = std::make_shared<weir::GzipFile>(packed, index);
  const auto whole = file->ReadAt(0, kTextBytesMax);
  if (!whole.ok() || (*whole)->size() == kTextBytesMax) return 0;
  if (file->GetSize().ValueOrDie() != (*whole)->size()) std::abort();
  for (int step = 1; step < 8; ++step) {
    const int64_t place = (*whole)->size() * ((data[0] * step) % 256) / 256;
    auto piece = file->ReadAt(place, 300);
    const int64_t left = std::min<int64_t>(300, (*whole)->size() - place);
    if (!piece.ok() || !(*piece)->Equals(*arrow::SliceBuffer(*whole, place, left))) std::abort();
  }
  return 0;
}
