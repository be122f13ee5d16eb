#include "data_loader/formats/gzip_inflater.h"

#include <algorithm>
#include <array>
#include <cstring>

#include <arrow/io/interfaces.h>
#include <fmt/format.h>
#include <glog/logging.h>

namespace weir {
namespace {

constexpr int kGzip = 16 + MAX_WBITS;  // with header and trailer
constexpr int kRaw = -MAX_WBITS;
constexpr int kIdleMax = 4;

// data_type after inflate(Z_BLOCK), as zlib.h has it.
constexpr int kBlockEnded = 128;
constexpr int kLastBlock = 64;

uint32_t LittleEndian32(const uint8_t* bytes) {
  uint32_t value;
  std::memcpy(&value, bytes, sizeof(value));
  return value;
}

}  // namespace

GzipInflater::GzipInflater(int64_t offset, int64_t packed_offset) : offset_(offset), packed_offset_(packed_offset) {
  CHECK_EQ(inflateInit2(&stream_, kGzip), Z_OK) << "no memory for a zlib stream";
}

GzipInflater::~GzipInflater() { inflateEnd(&stream_); }

arrow::Status GzipInflater::StartAtBlock(arrow::io::RandomAccessFile* packed, int bits, std::string_view window,
                                         uint32_t crc, uint32_t member_bytes) {
  raw_ = true;
  crc_ = crc;
  member_bytes_ = member_bytes;
  place_ = Place::kInside;
  bool ok = inflateReset2(&stream_, kRaw) == Z_OK;
  if (bits > 0) {
    uint8_t before = 0;
    ARROW_ASSIGN_OR_RAISE(const int64_t read, packed->ReadAt(packed_offset_ - 1, 1, &before));
    if (read != 1) return arrow::Status::IOError("the gzip file is shorter than it was");
    ok = ok && inflatePrime(&stream_, bits, before >> (8 - bits)) == Z_OK;
  }
  if (!window.empty()) {
    ok = ok && inflateSetDictionary(&stream_, reinterpret_cast<const Bytef*>(window.data()),
                                    static_cast<uInt>(window.size())) == Z_OK;
  }
  return ok ? arrow::Status::OK() : arrow::Status::IOError("zlib refuses an access point of its own");
}

void GzipInflater::UseUp(size_t bytes, std::span<const uint8_t>* buffer) {
  *buffer = buffer->subspan(bytes);
  packed_offset_ += static_cast<int64_t>(bytes);
}

arrow::Status GzipInflater::BeginMember(std::span<const uint8_t>* buffer) {
  if (buffer->front() == 0 && offset_ + packed_offset_ > 0) {
    place_ = Place::kPadding;
    return arrow::Status::OK();
  }
  if (inflateReset2(&stream_, kGzip) != Z_OK) return arrow::Status::IOError("zlib cannot begin a gzip member");
  raw_ = false;
  crc_ = member_bytes_ = 0;
  place_ = Place::kInside;
  return arrow::Status::OK();
}

arrow::Status GzipInflater::SkipPadding(std::span<const uint8_t>* buffer) {
  const auto other = std::find_if(buffer->begin(), buffer->end(), [](uint8_t byte) { return byte != 0; });
  UseUp(other - buffer->begin(), buffer);
  if (buffer->empty()) return arrow::Status::OK();
  return arrow::Status::IOError(
      fmt::format("expected nothing but zeros behind the last gzip member, found {:#04x} at byte {}", buffer->front(),
                  packed_offset_));
}

arrow::Status GzipInflater::CheckTrailer(std::span<const uint8_t>* buffer) {
  const size_t bytes = std::min(sizeof(trailer_) - trailer_bytes_, buffer->size());
  std::memcpy(trailer_ + trailer_bytes_, buffer->data(), bytes);
  trailer_bytes_ += bytes;
  UseUp(bytes, buffer);
  if (trailer_bytes_ < sizeof(trailer_)) return arrow::Status::OK();
  trailer_bytes_ = 0;
  place_ = Place::kMember;
  if (LittleEndian32(trailer_) == crc_ && LittleEndian32(trailer_ + 4) == member_bytes_) return arrow::Status::OK();
  return arrow::Status::IOError(
      fmt::format("the gzip member that ends at byte {}: its checksum or length does not fit", packed_offset_));
}

arrow::Result<int64_t> GzipInflater::InflateSome(std::span<uint8_t> out, std::span<const uint8_t>* buffer) {
  stream_.next_in = buffer->data();
  stream_.avail_in = static_cast<uInt>(buffer->size());
  stream_.next_out = out.data();
  stream_.avail_out = static_cast<uInt>(std::min<size_t>(out.size(), 1 << 30));
  const uInt room = stream_.avail_out;
  const int outcome = inflate(&stream_, Z_BLOCK);
  const size_t used = buffer->size() - stream_.avail_in;
  const uInt written = room - stream_.avail_out;
  UseUp(used, buffer);
  offset_ += written;
  member_bytes_ += written;
  crc_ = raw_ ? static_cast<uint32_t>(crc32(crc_, out.data(), written)) : static_cast<uint32_t>(stream_.adler);
  idle_ = used + written > 0 ? 0 : idle_ + 1;
  if (outcome == Z_MEM_ERROR) return arrow::Status::OutOfMemory("no memory to inflate gzip");
  const bool stuck = idle_ > kIdleMax;
  if ((outcome != Z_OK && outcome != Z_STREAM_END && outcome != Z_BUF_ERROR) || stuck) {
    return arrow::Status::IOError(fmt::format("damaged gzip near byte {}: {}", packed_offset_,
                                              stream_.msg == nullptr ? "no progress" : stream_.msg));
  }
  const bool block = (stream_.data_type & kBlockEnded) != 0 && (stream_.data_type & kLastBlock) == 0;
  place_ = outcome != Z_STREAM_END ? (block ? Place::kBlock : Place::kInside) : raw_ ? Place::kTrailer : Place::kMember;
  return static_cast<int64_t>(written);
}

arrow::Result<int64_t> GzipInflater::Inflate(std::span<uint8_t> out, std::span<const uint8_t>* buffer) {
  if (buffer->empty()) {
    if (place_ != Place::kMember && place_ != Place::kPadding) {
      return arrow::Status::IOError(
          fmt::format("expected more of a gzip member, found the file's end at byte {}: the "
                      "file is torn",
                      packed_offset_));
    }
    place_ = Place::kEnd;
    return 0;
  }
  switch (place_) {
    case Place::kMember:
      ARROW_RETURN_NOT_OK(BeginMember(buffer));
      return 0;
    case Place::kTrailer:
      ARROW_RETURN_NOT_OK(CheckTrailer(buffer));
      return 0;
    case Place::kPadding:
      ARROW_RETURN_NOT_OK(SkipPadding(buffer));
      return 0;
    case Place::kEnd:
      return 0;
    default:
      return InflateSome(out, buffer);
  }
}

arrow::Result<uint32_t> GzipInflater::Window(std::span<uint8_t> window) const {
  uInt bytes = static_cast<uInt>(window.size());
  if (inflateGetDictionary(&stream_, window.data(), &bytes) != Z_OK) {
    return arrow::Status::IOError("zlib gives no window");
  }
  return bytes;
}

}  // namespace weir
