#include "data_loader/formats/page_stream.h"

#include <algorithm>
#include <cstring>
#include <map>
#include <utility>

#include <arrow/buffer.h>
#include <arrow/io/interfaces.h>
#include <arrow/util/compression.h>
#include <fmt/format.h>
#include <parquet/column_page.h>
#include <parquet/column_reader.h>
#include <parquet/exception.h>
#include <parquet/file_reader.h>
#include <parquet/metadata.h>
#include <parquet/properties.h>
#include <parquet/types.h>

#include "base/crc32.h"
#include "data_loader/formats/page_header.h"
#include "data_loader/lake/decode_memory.h"

namespace weir {

class PageUnpacker {
 public:
  // Writes exactly out_bytes.
  void Unpack(arrow::Compression::type codec, const uint8_t* in, int64_t in_bytes, uint8_t* out, int64_t out_bytes) {
    if (out_bytes == 0) return;
    std::unique_ptr<arrow::util::Codec>& kept = codecs_[codec];
    if (kept == nullptr) kept = parquet::GetCodec(codec);
    const int64_t found = codec == arrow::Compression::ZSTD && SaysItsSize(in, in_bytes)
                              ? UnpackZstd(kept.get(), in, in_bytes, out, out_bytes)
                              : Value(kept->Decompress(in_bytes, in, out_bytes, out));
    if (found == out_bytes) return;
    throw parquet::ParquetException(
        fmt::format("expected a page of {} bytes once it is unpacked, found {}", out_bytes, found));
  }

  // For packed pages until they are unpacked: one for all columns.
  const std::shared_ptr<parquet::ResizableBuffer>& packed() { return packed_; }

  template <typename T>
  static T Value(arrow::Result<T> result) {
    PARQUET_ASSIGN_OR_THROW(T value, std::move(result));
    return value;
  }

 private:
  // Whether a Zstandard frame (RFC 8878, 3.1.1.1) has its size in its header: only then is it unpacked in one go, and
  // without a window of its own, which may take 128 MiB.
  static bool SaysItsSize(const uint8_t* in, int64_t bytes) {
    constexpr uint32_t kMagic = 0xfd2fb528;
    uint32_t magic = 0;
    if (bytes < 5) return false;
    std::memcpy(&magic, in, sizeof(magic));
    const bool has_size = (in[4] >> 6) != 0, is_single_segment = (in[4] & 0x20) != 0;
    return magic == kMagic && (has_size || is_single_segment);
  }

  int64_t UnpackZstd(arrow::util::Codec* codec, const uint8_t* in, int64_t in_bytes, uint8_t* out, int64_t out_bytes) {
    if (zstd_ == nullptr) {
      zstd_ = Value(codec->MakeDecompressor());
    } else {
      PARQUET_THROW_NOT_OK(zstd_->Reset());
    }
    int64_t written = 0;
    while (in_bytes > 0) {
      const auto part = Value(zstd_->Decompress(in_bytes, in, out_bytes - written, out + written));
      in += part.bytes_read;
      in_bytes -= part.bytes_read;
      written += part.bytes_written;
      if (zstd_->IsFinished() && in_bytes > 0) {
        PARQUET_THROW_NOT_OK(zstd_->Reset());  // another frame
      } else if (part.bytes_read == 0 && part.bytes_written == 0) {
        break;
      }
    }
    if (zstd_->IsFinished() && in_bytes == 0) return written;
    throw parquet::ParquetException(
        fmt::format("expected whole Zstandard frames of {} bytes, found {} packed bytes too {}", out_bytes, in_bytes,
                    in_bytes > 0 ? "many" : "few"));
  }

  std::map<arrow::Compression::type, std::unique_ptr<arrow::util::Codec>> codecs_;
  std::shared_ptr<arrow::util::Decompressor> zstd_;
  const std::shared_ptr<parquet::ResizableBuffer> packed_ = parquet::AllocateBuffer(DecodeMemory());
};

std::shared_ptr<PageUnpacker> MakePageUnpacker() { return std::make_shared<PageUnpacker>(); }

namespace {

parquet::Encoding::type EncodingOf(int32_t value) {
  using parquet::Encoding;
  return value >= 0 && value <= Encoding::BYTE_STREAM_SPLIT ? static_cast<Encoding::type>(value) : Encoding::UNKNOWN;
}

class PageStream : public parquet::PageReader {
 public:
  PageStream(std::shared_ptr<arrow::io::InputStream> stream, int64_t chunk_bytes, int64_t chunk_values,
             arrow::Compression::type codec, std::shared_ptr<PageUnpacker> unpacker)
      : stream_(std::move(stream)),
        bytes_left_(chunk_bytes),
        values_left_(chunk_values),
        codec_(codec),
        unpacker_(std::move(unpacker)),
        page_(parquet::AllocateBuffer(DecodeMemory())) {}

  std::shared_ptr<parquet::Page> NextPage() override {
    PageHeader header;
    while (values_left_ > 0 && ReadHeader(&header)) {
      const bool is_data = header.type == PageHeader::kDataV1 || header.type == PageHeader::kDataV2;
      if (is_data) values_left_ -= header.num_values;
      if ((!is_data && header.type != PageHeader::kDictionary) || (is_data && IsFiltered(header))) {
        PARQUET_THROW_NOT_OK(stream_->Advance(header.packed_bytes));
        bytes_left_ -= header.packed_bytes;
        continue;
      }
      const bool has_levels = header.type == PageHeader::kDataV2;
      ReadUnpacked(header, has_levels ? int64_t{header.definition_levels_bytes} + header.repetition_levels_bytes : 0);
      return MakePage(header);
    }
    return nullptr;
  }

  void set_max_page_header_size(uint32_t size) override { header_bytes_max_ = size; }

 private:
  // False at the end of the chunk.
  bool ReadHeader(PageHeader* header) {
    for (int64_t bytes = parquet::kDefaultPageHeaderSize;; bytes *= 4) {
      const std::string_view seen = PageUnpacker::Value(stream_->Peek(std::min(bytes, bytes_left_)));
      if (seen.empty()) return false;
      const Result<int64_t> size = ParsePageHeader(seen, header);
      if (!size.ok()) throw parquet::ParquetException(std::string(size.status().message()));
      if (*size > 0) {
        PARQUET_THROW_NOT_OK(stream_->Advance(*size));
        bytes_left_ -= *size;
        if (header->packed_bytes <= bytes_left_) return true;
        throw parquet::ParquetException(
            fmt::format("expected a page within the {} bytes left of the column, found one of {}", bytes_left_,
                        header->packed_bytes));
      }
      if (static_cast<int64_t>(seen.size()) < bytes || bytes > header_bytes_max_) {
        throw parquet::ParquetException(
            fmt::format("page header: expected its end within {} bytes, found none", seen.size()));
      }
    }
  }

  bool IsFiltered(const PageHeader& header) const {
    if (!data_page_filter_) return false;
    const bool has_rows = header.type == PageHeader::kDataV2 && header.num_rows >= 0;
    return data_page_filter_(parquet::DataPageStats(/*encoded_statistics=*/nullptr, header.num_values,
                                                    has_rows ? std::optional(header.num_rows) : std::nullopt));
  }

  // Reads the page as it stands in the file, and verifies its checksum.
  void Read(const PageHeader& header, parquet::ResizableBuffer* to) {
    PARQUET_THROW_NOT_OK(to->Resize(header.packed_bytes, /*shrink_to_fit=*/false));
    const int64_t read = PageUnpacker::Value(stream_->Read(header.packed_bytes, to->mutable_data()));
    bytes_left_ -= read;
    if (read != header.packed_bytes) {
      throw parquet::ParquetException(fmt::format("expected a page of {} bytes, found {}", header.packed_bytes, read));
    }
    if (!header.crc) return;
    if (const uint32_t found = Crc32(to->data(), read); found != *header.crc) {
      throw parquet::ParquetException(
          fmt::format("CRC verification failed: expected {:08x}, found {:08x}", *header.crc, found));
    }
  }

  // To page_, unpacked behind the first `plain` bytes, which are never packed.
  void ReadUnpacked(const PageHeader& header, int64_t plain) {
    if (codec_ == arrow::Compression::UNCOMPRESSED || !header.is_packed) return Read(header, page_.get());
    if (plain > header.packed_bytes || plain > header.unpacked_bytes) {
      throw parquet::ParquetException(fmt::format("expected levels within a page of {} bytes, found {} bytes of them",
                                                  std::min(header.packed_bytes, header.unpacked_bytes), plain));
    }
    Read(header, unpacker_->packed().get());
    const uint8_t* packed = unpacker_->packed()->data();
    PARQUET_THROW_NOT_OK(page_->Resize(header.unpacked_bytes, /*shrink_to_fit=*/false));
    if (plain > 0) std::memcpy(page_->mutable_data(), packed, plain);
    unpacker_->Unpack(codec_, packed + plain, header.packed_bytes - plain, page_->mutable_data() + plain,
                      header.unpacked_bytes - plain);
  }

  std::shared_ptr<parquet::Page> MakePage(const PageHeader& header) const {
    const auto encoding = EncodingOf(header.encoding);
    if (header.type == PageHeader::kDictionary) {
      return std::make_shared<parquet::DictionaryPage>(page_, header.num_values, encoding);
    }
    if (header.type == PageHeader::kDataV1) {
      return std::make_shared<parquet::DataPageV1>(page_, header.num_values, encoding,
                                                   EncodingOf(header.definition_encoding),
                                                   EncodingOf(header.repetition_encoding), header.unpacked_bytes);
    }
    return std::make_shared<parquet::DataPageV2>(page_, header.num_values, header.num_nulls, header.num_rows, encoding,
                                                 header.definition_levels_bytes, header.repetition_levels_bytes,
                                                 header.unpacked_bytes, header.is_packed);
  }

  const std::shared_ptr<arrow::io::InputStream> stream_;
  int64_t bytes_left_;   // of the chunk
  int64_t values_left_;  // of the chunk
  const arrow::Compression::type codec_;
  const std::shared_ptr<PageUnpacker> unpacker_;
  int64_t header_bytes_max_ = parquet::kDefaultMaxPageHeaderSize;
  const std::shared_ptr<parquet::ResizableBuffer> page_;  // what NextPage() hands out
};

// Where the chunk's pages lie. False where Parquet's reader does something else than to read [*offset, *offset +
// *bytes).
bool FindChunk(const parquet::FileMetaData& footer, const parquet::ColumnChunkMetaData& chunk, int64_t file_bytes,
               int64_t* offset, int64_t* bytes) {
  using parquet::ApplicationVersion;
  const ApplicationVersion& writer = footer.writer_version();
  const bool old = writer.VersionLt(ApplicationVersion::PARQUET_816_FIXED_VERSION()) ||
                   writer.VersionLt(ApplicationVersion::PARQUET_CPP_10353_FIXED_VERSION());
  if (old || chunk.crypto_metadata() != nullptr) return false;
  *offset = chunk.data_page_offset();
  if (chunk.has_dictionary_page() && chunk.dictionary_page_offset() > 0) {
    *offset = std::min(*offset, chunk.dictionary_page_offset());
  }
  *bytes = chunk.total_compressed_size();
  return *offset >= 0 && *bytes >= 0 && *bytes <= file_bytes - *offset;
}

}  // namespace

std::unique_ptr<parquet::PageReader> OpenPages(std::shared_ptr<arrow::io::RandomAccessFile> source,
                                               parquet::ReaderProperties properties, parquet::ParquetFileReader* file,
                                               int group, int leaf, std::shared_ptr<PageUnpacker> unpacker) {
  const std::shared_ptr<parquet::FileMetaData> footer = file->metadata();
  const auto chunk = footer->RowGroup(group)->ColumnChunk(leaf);
  int64_t offset = 0, bytes = 0;
  if (!FindChunk(*footer, *chunk, PageUnpacker::Value(source->GetSize()), &offset, &bytes)) {
    return file->RowGroup(group)->GetColumnPageReader(leaf);
  }
  auto stream = properties.GetStream(std::move(source), offset, bytes);
  return std::make_unique<PageStream>(std::move(stream), bytes, chunk->num_values(), chunk->compression(),
                                      std::move(unpacker));
}

}  // namespace weir
