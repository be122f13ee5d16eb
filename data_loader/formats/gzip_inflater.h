// GzipInflater: one place in a gzip file from which it is inflated on.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>

#include <arrow/io/type_fwd.h>
#include <arrow/result.h>
#include <arrow/status.h>

#define ZLIB_CONST
#include <zlib.h>

namespace weir {

// Holds about 40 KiB. One thread. Not to be used after an error.
class GzipInflater {
 public:
  // At the first byte of a member, or of the file's end.
  GzipInflater(int64_t offset, int64_t packed_offset);
  GzipInflater(const GzipInflater&) = delete;
  GzipInflater& operator=(const GzipInflater&) = delete;
  ~GzipInflater();

  // In the middle of a member: where a block begins, of whose first byte `bits` bits are in the byte before
  // packed_offset; `window`: the bytes before, 32 KiB or the whole member so far, of which `crc` is the checksum.
  arrow::Status StartAtBlock(arrow::io::RandomAccessFile* packed, int bits, std::string_view window, uint32_t crc,
                             uint32_t member_bytes);

  // Inflates up to the end of `out`, a block or the file, whichever comes first: how many bytes. 0 is progress as well;
  // at_end() says when there is no more. `buffer`: the packed bytes from packed_offset() on, of which some are used up;
  // empty only where the file ends.
  arrow::Result<int64_t> Inflate(std::span<uint8_t> out, std::span<const uint8_t>* buffer);

  int64_t offset() const { return offset_; }
  int64_t packed_offset() const { return packed_offset_; }
  bool at_end() const { return place_ == Place::kEnd; }
  // Whether StartAtBlock, or the constructor, could begin here.
  bool at_member() const { return place_ == Place::kMember; }
  bool at_block() const { return place_ == Place::kBlock; }
  int bits() const { return stream_.data_type & 7; }
  uint32_t crc() const { return crc_; }
  uint32_t member_bytes() const { return member_bytes_; }
  // At a block: what StartAtBlock wants. window: at least 32 KiB; how many bytes were written.
  arrow::Result<uint32_t> Window(std::span<uint8_t> window) const;

 private:
  enum class Place {
    kMember,   // before a member, or behind the last
    kInside,   // of a member
    kBlock,    // inside, where a block begins
    kTrailer,  // before checksum and length, when inflating began inside the member
    kPadding,  // in zeros behind the last member
    kEnd,
  };

  // Each uses up some of the bytes.
  arrow::Status BeginMember(std::span<const uint8_t>* buffer);
  arrow::Result<int64_t> InflateSome(std::span<uint8_t> out, std::span<const uint8_t>* buffer);
  arrow::Status CheckTrailer(std::span<const uint8_t>* buffer);
  arrow::Status SkipPadding(std::span<const uint8_t>* buffer);
  void UseUp(size_t bytes, std::span<const uint8_t>* buffer);

  mutable z_stream stream_ = {};  // inflateGetDictionary takes no const one
  bool raw_ = false;              // began inside the member: the checksum is ours to keep
  Place place_ = Place::kMember;
  int64_t offset_;
  int64_t packed_offset_;
  uint32_t crc_ = 0;
  uint32_t member_bytes_ = 0;  // modulo 2^32, as the trailer has it
  uint8_t trailer_[8] = {};
  size_t trailer_bytes_ = 0;
  int idle_ = 0;  // calls in a row that moved nothing
};

}  // namespace weir
