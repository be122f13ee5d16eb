#include "data_loader/formats/arrow_messages.h"

#include <cstring>
#include <optional>

#include <arrow/buffer.h>
#include <arrow/io/interfaces.h>
#include <arrow/result.h>
#include <fmt/format.h>

#include "data_loader/lake/arrow_status.h"

namespace weir {
namespace {

constexpr uint32_t kContinuation = 0xFFFFFFFF;
// Far above what thousands of columns take.
constexpr int64_t kMetadataBytesMax = 64 << 20;

// Fields of Message and RecordBatch, in the order of Message.fbs; a union takes two.
constexpr int kHeaderType = 1, kHeader = 2, kBodyLength = 3;
constexpr int kRecordBatchLength = 0;

// A table of a flatbuffer, every access within bounds.
class FlatTable {
 public:
  FlatTable(std::string_view buffer, size_t table) : buffer_(buffer), table_(table) {}

  static std::optional<FlatTable> Root(std::string_view buffer) { return FlatTable(buffer, 0).At(0); }

  // The field's value; 0, its default, where it is absent. Nothing outside the buffer.
  template <typename T>
  std::optional<T> Scalar(int field) const {
    const std::optional<size_t> place = Place(field);
    if (!place) return std::nullopt;
    return *place == 0 ? T{0} : Load<T>(*place);
  }

  std::optional<FlatTable> Table(int field) const {
    const std::optional<size_t> place = Place(field);
    return place && *place != 0 ? At(*place) : std::nullopt;
  }

 private:
  template <typename T>
  std::optional<T> Load(size_t place) const {
    T value;
    if (place > buffer_.size() || buffer_.size() - place < sizeof(T)) return std::nullopt;
    std::memcpy(&value, buffer_.data() + place, sizeof(T));
    return value;
  }

  // The table that the offset at `place` points to.
  std::optional<FlatTable> At(size_t place) const {
    const auto offset = Load<uint32_t>(place);
    if (!offset || place + *offset >= buffer_.size()) return std::nullopt;
    return FlatTable(buffer_, place + *offset);
  }

  // Where the field's value stands: 0 where it is absent.
  std::optional<size_t> Place(int field) const {
    const auto back = Load<int32_t>(table_);
    if (!back) return std::nullopt;
    const int64_t fields = static_cast<int64_t>(table_) - *back;
    if (fields < 0) return std::nullopt;
    const auto fields_bytes = Load<uint16_t>(static_cast<size_t>(fields));
    if (!fields_bytes) return std::nullopt;
    const size_t entry = 4 + 2 * static_cast<size_t>(field);
    if (entry + 2 > *fields_bytes) return 0;
    const auto offset = Load<uint16_t>(static_cast<size_t>(fields) + entry);
    if (!offset) return std::nullopt;
    return *offset == 0 ? 0 : table_ + *offset;
  }

  std::string_view buffer_;
  size_t table_;
};

Status NoMessage() { return DataLoss("expected the metadata of an Arrow message, found bytes that are none"); }

}  // namespace

Result<ArrowMessage> DecodeArrowMetadata(std::string_view metadata, int64_t* body_bytes) {
  const std::optional<FlatTable> message = FlatTable::Root(metadata);
  if (!message) return NoMessage();
  const auto type = message->Scalar<uint8_t>(kHeaderType);
  const auto body = message->Scalar<int64_t>(kBodyLength);
  const std::optional<FlatTable> header = message->Table(kHeader);
  if (!type || !body || !header || *body < 0) return NoMessage();
  *body_bytes = *body;
  ArrowMessage decoded;
  switch (*type) {
    case 1:
      decoded.kind = ArrowMessageKind::kSchema;
      return decoded;
    case 2:
      decoded.kind = ArrowMessageKind::kDictionary;
      return decoded;
    case 3: {
      decoded.kind = ArrowMessageKind::kRecordBatch;
      const auto rows = header->Scalar<int64_t>(kRecordBatchLength);
      if (!rows || *rows < 0) return NoMessage();
      decoded.rows = *rows;
      return decoded;
    }
    default:
      return Unimplemented(
          fmt::format("expected a schema, dictionaries and record batches, found a message of type {}", *type));
  }
}

Result<std::vector<ArrowMessage>> ListArrowMessages(arrow::io::RandomAccessFile* file, int64_t offset_bytes,
                                                    int64_t limit_bytes) {
  std::vector<ArrowMessage> messages;
  for (int64_t offset = offset_bytes;;) {
    uint32_t start[2] = {};
    const auto place = [&] { return fmt::format("the message at byte {}", offset); };
    const auto torn = [&] {
      return DataLoss(fmt::format("{}: expected its end before byte {}: the file is torn", place(), limit_bytes));
    };
    WEIR_ASSIGN_OR_RETURN(const int64_t read, FromArrow(file->ReadAt(offset, sizeof(start), start), place()));
    if (read < static_cast<int64_t>(sizeof(start[0]))) return torn();
    const bool continued = start[0] == kContinuation;
    if (continued && read < static_cast<int64_t>(sizeof(start))) return torn();
    const int64_t metadata_bytes = continued ? start[1] : start[0];
    const int64_t prefix_bytes = continued ? 8 : 4;
    if (metadata_bytes == 0) return messages;
    if (metadata_bytes > kMetadataBytesMax) {
      return DataLoss(fmt::format("{}: expected at most {} bytes of metadata, found {}", place(), kMetadataBytesMax,
                                  metadata_bytes));
    }
    WEIR_ASSIGN_OR_RETURN(auto metadata, FromArrow(file->ReadAt(offset + prefix_bytes, metadata_bytes), place()));
    if (metadata->size() < metadata_bytes) return torn();
    int64_t body_bytes = 0;
    auto message = DecodeArrowMetadata(std::string_view(*metadata), &body_bytes);
    if (!message.ok()) return message.status().Wrap(place());
    const int64_t begin_bytes = prefix_bytes + metadata_bytes;
    if (body_bytes > limit_bytes - offset - begin_bytes) return torn();
    message->offset_bytes = offset;
    message->size_bytes = begin_bytes + body_bytes;
    offset += message->size_bytes;
    messages.push_back(*message);
  }
}

}  // namespace weir
