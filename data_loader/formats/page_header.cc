#include "data_loader/formats/page_header.h"

#include <fmt/format.h>

namespace weir {
namespace {

// Thrift's compact protocol (thrift-compact-protocol.md of the Apache Thrift project).
enum WireType : uint8_t {
  kStop = 0,
  kTrue = 1,
  kFalse = 2,
  kByte = 3,
  kI16 = 4,
  kI32 = 5,
  kI64 = 6,
  kDouble = 7,
  kBinary = 8,
  kList = 9,
  kSet = 10,
  kMap = 11,
  kStruct = 12,
};

// Structs within each other; the format's own are three deep.
constexpr int kDepthMax = 16;

// Reads what stands in `bytes`. Once something is wrong all calls return 0 or false; ok() says whether.
class CompactReader {
 public:
  explicit CompactReader(std::string_view bytes) : bytes_(bytes) {}

  bool ok() const { return !torn_ && !bad_; }
  bool torn() const { return torn_; }  // the bytes ended too early
  int64_t offset() const { return static_cast<int64_t>(at_); }

  uint8_t Byte() {
    if (!ok()) return 0;
    if (at_ == bytes_.size()) {
      torn_ = true;
      return 0;
    }
    return static_cast<uint8_t>(bytes_[at_++]);
  }

  uint64_t Varint() {
    uint64_t value = 0;
    for (int shift = 0; shift < 70; shift += 7) {
      const uint8_t byte = Byte();
      value |= static_cast<uint64_t>(byte & 0x7f) << (shift < 64 ? shift : 63);
      if (byte < 0x80) return ok() ? value : 0;
    }
    bad_ = true;
    return 0;
  }

  int32_t Int32() {
    const uint64_t coded = Varint();
    if (coded > UINT32_MAX) {
      bad_ = true;
      return 0;
    }
    return static_cast<int32_t>(static_cast<uint32_t>(coded >> 1) ^ -static_cast<uint32_t>(coded & 1));
  }

  // The next field's type and number; kStop at the end of the struct.
  WireType Field(int32_t* number) {
    const uint8_t head = Byte();
    const auto type = static_cast<WireType>(head & 0x0f);
    if (!ok() || type == kStop) return kStop;
    if (type > kStruct) bad_ = true;
    const int delta = head >> 4;
    *number = delta != 0 ? *number + delta : Int32();
    // Thrift counts fields in 16 bits.
    if (*number < 0 || *number > INT16_MAX) bad_ = true;
    return ok() ? type : kStop;
  }

  void Skip(WireType type, int depth = 0) {
    if (!ok()) return;
    switch (type) {
      case kTrue:
      case kFalse:
        return;
      case kByte:
        return Advance(1);
      case kI16:
      case kI32:
      case kI64:
        Varint();
        return;
      case kDouble:
        return Advance(8);
      case kBinary:
        return Advance(Varint());
      case kStruct:
        return SkipStruct(depth + 1);
      default:
        // Lists, sets and maps do not stand in a page's header.
        bad_ = true;
    }
  }

 private:
  void Advance(uint64_t bytes) {
    if (!ok()) return;
    if (bytes > bytes_.size() - at_) {
      torn_ = true;
    } else {
      at_ += bytes;
    }
  }

  void SkipStruct(int depth) {
    if (depth > kDepthMax) {
      bad_ = true;
      return;
    }
    int32_t number = 0;
    while (const WireType type = Field(&number)) Skip(type, depth);
  }

  const std::string_view bytes_;
  size_t at_ = 0;
  bool torn_ = false;
  bool bad_ = false;
};

// A field that goes to an int32 of the header; null for those passed over.
using Place = int32_t* (*)(PageHeader*, int32_t number);

int32_t* DataV1Field(PageHeader* header, int32_t number) {
  switch (number) {
    case 1:
      return &header->num_values;
    case 2:
      return &header->encoding;
    case 3:
      return &header->definition_encoding;
    case 4:
      return &header->repetition_encoding;
    default:
      return nullptr;
  }
}

int32_t* DictionaryField(PageHeader* header, int32_t number) {
  switch (number) {
    case 1:
      return &header->num_values;
    case 2:
      return &header->encoding;
    default:
      return nullptr;
  }
}

int32_t* DataV2Field(PageHeader* header, int32_t number) {
  switch (number) {
    case 1:
      return &header->num_values;
    case 2:
      return &header->num_nulls;
    case 3:
      return &header->num_rows;
    case 4:
      return &header->encoding;
    case 5:
      return &header->definition_levels_bytes;
    case 6:
      return &header->repetition_levels_bytes;
    default:
      return nullptr;
  }
}

void ReadContents(CompactReader* reader, Place place, PageHeader* header) {
  constexpr int32_t kIsPacked = 7;
  header->has_contents = true;
  int32_t number = 0;
  while (const WireType type = reader->Field(&number)) {
    int32_t* to = place(header, number);
    if (to != nullptr && type == kI32) {
      *to = reader->Int32();
    } else if (place == DataV2Field && number == kIsPacked && (type == kTrue || type == kFalse)) {
      header->is_packed = type == kTrue;
    } else {
      reader->Skip(type);
    }
  }
}

// The fields of another page type than the header's own, which comes first, are passed over.
Place PlaceOf(const PageHeader& header, int32_t number) {
  if (header.type == PageHeader::kDataV1 && number == 5) return DataV1Field;
  if (header.type == PageHeader::kDictionary && number == 7) return DictionaryField;
  if (header.type == PageHeader::kDataV2 && number == 8) return DataV2Field;
  return nullptr;
}

// Encodings are enums, which are not negative either.
Status Check(const PageHeader& header) {
  const auto wrong = [](const char* what, int32_t found) {
    return DataLoss(fmt::format("page header: expected {} of 0 or more, found {}", what, found));
  };
  if (header.type < 0) return wrong("a type", header.type);
  if (header.packed_bytes < 0) return wrong("a compressed size", header.packed_bytes);
  if (header.unpacked_bytes < 0) return wrong("an uncompressed size", header.unpacked_bytes);
  const bool v1 = header.type == PageHeader::kDataV1, v2 = header.type == PageHeader::kDataV2;
  if (!v1 && !v2 && header.type != PageHeader::kDictionary) return Status();
  if (!header.has_contents) return DataLoss("page header: expected the struct of the page's type, found none");
  if (header.num_values < 0) return wrong("a number of values", header.num_values);
  if (header.encoding < 0) return wrong("an encoding", header.encoding);
  if (v1 && header.definition_encoding < 0) return wrong("an encoding of levels", header.definition_encoding);
  if (v2 && header.definition_levels_bytes < 0) return wrong("bytes of levels", header.definition_levels_bytes);
  if (v2 && header.repetition_levels_bytes < 0) return wrong("bytes of levels", header.repetition_levels_bytes);
  return Status();
}

}  // namespace

Result<int64_t> ParsePageHeader(std::string_view bytes, PageHeader* header) {
  *header = PageHeader();
  CompactReader reader(bytes);
  int32_t number = 0;
  while (const WireType type = reader.Field(&number)) {
    if (number == 1 && type == kI32) {
      header->type = reader.Int32();
    } else if (number == 2 && type == kI32) {
      header->unpacked_bytes = reader.Int32();
    } else if (number == 3 && type == kI32) {
      header->packed_bytes = reader.Int32();
    } else if (number == 4 && type == kI32) {
      header->crc = static_cast<uint32_t>(reader.Int32());
    } else if (const Place place = PlaceOf(*header, number); place != nullptr && type == kStruct) {
      ReadContents(&reader, place, header);
    } else {
      reader.Skip(type);
    }
  }
  if (reader.torn()) return 0;
  if (!reader.ok()) return DataLoss("page header: expected a struct of Thrift's compact protocol, found other bytes");
  WEIR_RETURN_IF_ERROR(Check(*header));
  return reader.offset();
}

}  // namespace weir
