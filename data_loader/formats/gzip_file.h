// GzipFile: the unpacked bytes of a gzip file, of one member or several, readable from any place.
//
// Gzip has no index and can only be inflated from its start. So while it first is, access points are kept, as zlib's
// example zran.c does: where a deflate block begins (in bytes and bits) and the 32 KiB before it, which it may refer
// to. A read begins at the last point before it, or goes on where the last read ended if that is nearer.
#pragma once

#include <cstdint>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include <arrow/io/interfaces.h>

#include <arrow/result.h>
#include "data_loader/lake/positioned_file.h"

namespace weir {

// Unpacked bytes between two access points; doubled, and every second point dropped, when there are
// kGzipPointsMax. A point takes 10 to 32 KiB: a file of 1 GiB unpacked about 2 MiB, none more than 16 MiB.
constexpr int64_t kGzipSpanBytes = 8 << 20;
constexpr size_t kGzipPointsMax = 512;

class GzipInflater;

// What is known of one gzip file: access points, and where the last read ended. Shared by the GzipFiles that open it
// one after another. Thread-safe.
class GzipIndex {
 public:
  explicit GzipIndex(int64_t span_bytes = kGzipSpanBytes);
  ~GzipIndex();

  size_t num_points() const;
  int64_t span_bytes() const;

 private:
  friend class GzipFile;

  struct Point {
    int64_t offset = 0;         // unpacked
    int64_t packed_offset = 0;  // of the first byte not used up
    int bits = 0;               // of the byte before that belong to the block
    bool starts_member = false;
    uint32_t crc = 0;           // of the member's bytes before the point
    uint32_t member_bytes = 0;  // modulo 2^32
    uint32_t window_bytes = 0;
    std::string window;  // deflated
  };

  // The inflater to read on from `offset` with: the one that is there, or a new one at a point.
  arrow::Result<std::unique_ptr<GzipInflater>> TakeInflater(int64_t offset, arrow::io::RandomAccessFile* packed);
  arrow::Status NotePoint(const GzipInflater& inflater);

  mutable std::mutex mutex_;  // held for a whole read
  int64_t span_bytes_;
  std::vector<Point> points_;  // ascending; the first is the file's start
  int64_t size_bytes_ = -1;    // unpacked; -1 before the end was reached
  std::unique_ptr<GzipInflater> inflater_;
};

// Errors say what is wrong, not the path: torn files, checksums and lengths that do not fit, and bytes behind the last
// member that are no gzip are IOError. Every byte handed out that a checksum covers is checked by the time that the end
// of its member is reached. A read costs up to one span more than its own bytes. Thread-safe.
class GzipFile : public PositionedFile {
 public:
  GzipFile(std::shared_ptr<arrow::io::RandomAccessFile> packed, std::shared_ptr<GzipIndex> index)
      : packed_(std::move(packed)), index_(std::move(index)) {}

  using PositionedFile::ReadAt;
  arrow::Status Close() override;
  bool closed() const override { return packed_->closed(); }
  // Inflates the rest of the file if its end was not reached before.
  arrow::Result<int64_t> GetSize() override;
  arrow::Result<int64_t> ReadAt(int64_t position, int64_t nbytes, void* out) override;
  arrow::Result<std::shared_ptr<arrow::Buffer>> ReadAt(int64_t position, int64_t nbytes) override;

 private:
  // Bytes [position, position + nbytes) as far as there are any; with a null `out` they are only passed over.
  arrow::Result<int64_t> Inflate(int64_t position, int64_t nbytes, uint8_t* out);

  const std::shared_ptr<arrow::io::RandomAccessFile> packed_;
  const std::shared_ptr<GzipIndex> index_;
};

}  // namespace weir
