#include "data_loader/formats/gzip_file.h"

#include <algorithm>
#include <array>
#include <limits>
#include <span>
#include <vector>

#include <arrow/buffer.h>

#include "data_loader/formats/gzip_inflater.h"
#include "data_loader/lake/decode_memory.h"

namespace weir {
namespace {

constexpr size_t kWindowBytes = 32 << 10;
constexpr int64_t kPackedReadBytes = 128 << 10;
constexpr int64_t kPassOverBytes = 64 << 10;

arrow::Result<std::string> Deflate(std::span<const uint8_t> bytes) {
  std::string packed(compressBound(bytes.size()), '\0');
  uLongf size = packed.size();
  if (compress2(reinterpret_cast<Bytef*>(packed.data()), &size, bytes.data(), bytes.size(), 1) != Z_OK) {
    return arrow::Status::OutOfMemory("no memory for an access point");
  }
  packed.resize(size);
  packed.shrink_to_fit();
  return packed;
}

}  // namespace

GzipIndex::GzipIndex(int64_t span_bytes) : span_bytes_(span_bytes) {
  points_.emplace_back();
  points_.front().starts_member = true;
}

GzipIndex::~GzipIndex() = default;

size_t GzipIndex::num_points() const {
  std::lock_guard lock(mutex_);
  return points_.size();
}

int64_t GzipIndex::span_bytes() const {
  std::lock_guard lock(mutex_);
  return span_bytes_;
}

arrow::Result<std::unique_ptr<GzipInflater>> GzipIndex::TakeInflater(int64_t offset,
                                                                     arrow::io::RandomAccessFile* packed) {
  auto after = std::upper_bound(points_.begin(), points_.end(), offset,
                                [](int64_t wanted, const Point& point) { return wanted < point.offset; });
  const Point& point = *std::prev(after);
  std::unique_ptr<GzipInflater> last = std::move(inflater_);
  if (last != nullptr && last->offset() <= offset && last->offset() >= point.offset) return last;
  auto begun = std::make_unique<GzipInflater>(point.offset, point.packed_offset);
  if (point.starts_member) return begun;
  std::array<char, kWindowBytes> window;
  uLongf size = window.size();
  if (uncompress(reinterpret_cast<Bytef*>(window.data()), &size, reinterpret_cast<const Bytef*>(point.window.data()),
                 point.window.size()) != Z_OK) {
    return arrow::Status::UnknownError("an access point cannot be unpacked");
  }
  ARROW_RETURN_NOT_OK(
      begun->StartAtBlock(packed, point.bits, std::string_view(window.data(), size), point.crc, point.member_bytes));
  return begun;
}

arrow::Status GzipIndex::NotePoint(const GzipInflater& inflater) {
  if (inflater.offset() - points_.back().offset < span_bytes_) return arrow::Status::OK();
  if (!inflater.at_member() && !inflater.at_block()) return arrow::Status::OK();
  Point point;
  point.offset = inflater.offset();
  point.packed_offset = inflater.packed_offset();
  point.starts_member = inflater.at_member();
  if (!point.starts_member) {
    std::array<uint8_t, kWindowBytes> window;
    ARROW_ASSIGN_OR_RAISE(const uint32_t bytes, inflater.Window(window));
    ARROW_ASSIGN_OR_RAISE(point.window, Deflate(std::span(window).first(bytes)));
    point.bits = inflater.bits();
    point.crc = inflater.crc();
    point.member_bytes = inflater.member_bytes();
  }
  points_.push_back(std::move(point));
  if (points_.size() < kGzipPointsMax) return arrow::Status::OK();
  size_t kept = 0;
  for (size_t i = 0; i < points_.size(); i += 2) {
    if (kept != i) points_[kept] = std::move(points_[i]);
    ++kept;
  }
  points_.resize(kept);
  span_bytes_ *= 2;
  return arrow::Status::OK();
}

arrow::Result<int64_t> GzipFile::Inflate(int64_t position, int64_t nbytes, uint8_t* out) {
  if (position < 0 || nbytes < 0) return arrow::Status::Invalid("expected a place in the file, found one below 0");
  const int64_t end =
      position > std::numeric_limits<int64_t>::max() - nbytes ? std::numeric_limits<int64_t>::max() : position + nbytes;
  std::lock_guard lock(index_->mutex_);
  if (index_->size_bytes_ >= 0 && position >= index_->size_bytes_) return 0;
  ARROW_ASSIGN_OR_RAISE(std::unique_ptr<GzipInflater> inflater, index_->TakeInflater(position, packed_.get()));
  std::vector<uint8_t> packed(kPackedReadBytes), passed_over(kPassOverBytes);
  std::span<const uint8_t> buffer;
  while (inflater->offset() < end && !inflater->at_end()) {
    if (buffer.empty()) {
      ARROW_ASSIGN_OR_RAISE(const int64_t read,
                            packed_->ReadAt(inflater->packed_offset(), kPackedReadBytes, packed.data()));
      buffer = std::span<const uint8_t>(packed).first(static_cast<size_t>(read));
    }
    const int64_t here = inflater->offset();
    const bool wanted = here >= position && out != nullptr;
    const int64_t until = here < position ? position : end;
    std::span<uint8_t> to(passed_over);
    if (wanted) to = std::span<uint8_t>(out + (here - position), static_cast<size_t>(end - here));
    to = to.first(std::min<size_t>(to.size(), static_cast<size_t>(until - here)));
    ARROW_RETURN_NOT_OK(inflater->Inflate(to, &buffer).status());
    ARROW_RETURN_NOT_OK(index_->NotePoint(*inflater));
  }
  if (inflater->at_end()) {
    index_->size_bytes_ = inflater->offset();
  }
  const int64_t last = std::min(end, inflater->offset());
  if (!inflater->at_end()) index_->inflater_ = std::move(inflater);
  return std::max<int64_t>(last - position, 0);
}

arrow::Status GzipFile::Close() { return packed_->Close(); }

arrow::Result<int64_t> GzipFile::GetSize() {
  {
    std::lock_guard lock(index_->mutex_);
    if (index_->size_bytes_ >= 0) return index_->size_bytes_;
  }
  ARROW_RETURN_NOT_OK(Inflate(0, std::numeric_limits<int64_t>::max(), nullptr).status());
  std::lock_guard lock(index_->mutex_);
  return index_->size_bytes_;
}

arrow::Result<int64_t> GzipFile::ReadAt(int64_t position, int64_t nbytes, void* out) {
  return Inflate(position, nbytes, static_cast<uint8_t*>(out));
}

arrow::Result<std::shared_ptr<arrow::Buffer>> GzipFile::ReadAt(int64_t position, int64_t nbytes) {
  ARROW_ASSIGN_OR_RAISE(auto buffer, arrow::AllocateResizableBuffer(nbytes, DecodeMemory()));
  ARROW_ASSIGN_OR_RAISE(const int64_t read, Inflate(position, nbytes, buffer->mutable_data()));
  ARROW_RETURN_NOT_OK(buffer->Resize(read));
  return std::shared_ptr<arrow::Buffer>(std::move(buffer));
}

}  // namespace weir
