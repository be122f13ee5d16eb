#include "data_loader/formats/tf_example.h"

#include <bit>

#include <google/protobuf/io/coded_stream.h>
#include <google/protobuf/wire_format_lite.h>

namespace weir {
namespace {

using google::protobuf::internal::WireFormatLite;
using google::protobuf::io::CodedInputStream;

// Tags of fields: number and wire type.
constexpr uint32_t Tag(uint32_t field, uint32_t wire_type) { return field << 3 | wire_type; }
constexpr uint32_t kVarint = 0, kDelimited = 2, kFixed32 = 5;

Status NoExample() { return InvalidArgument("expected a tf.Example, found bytes that are none"); }

CodedInputStream Stream(std::string_view bytes) {
  return CodedInputStream(reinterpret_cast<const uint8_t*>(bytes.data()), static_cast<int>(bytes.size()));
}

// A length and as many bytes.
bool ReadDelimited(CodedInputStream* in, std::string_view* bytes) {
  uint32_t size = 0;
  if (!in->ReadVarint32(&size)) return false;
  const void* data = nullptr;
  int available = 0;
  if (size == 0) {
    *bytes = {};
    return true;
  }
  if (!in->GetDirectBufferPointer(&data, &available) || size > static_cast<uint32_t>(available)) return false;
  *bytes = std::string_view(static_cast<const char*>(data), size);
  return in->Skip(static_cast<int>(size));
}

// Calls visit(tag, in) for each field of the message; it returns false for damage, or reads the field, or leaves it to
// be skipped by WireFormatLite::SkipField. False when the message is damaged.
template <typename Visit>
bool VisitFields(std::string_view message, const Visit& visit) {
  CodedInputStream in = Stream(message);
  while (const uint32_t tag = in.ReadTag()) {
    if (!visit(tag, &in)) return false;
  }
  return in.ConsumedEntireMessage();
}

bool Skip(uint32_t tag, CodedInputStream* in) { return WireFormatLite::SkipField(in, tag); }

bool ReadFloat(CodedInputStream* in, std::vector<float>* floats) {
  uint32_t bits = 0;
  if (!in->ReadLittleEndian32(&bits)) return false;
  floats->push_back(std::bit_cast<float>(bits));
  return true;
}

bool ReadInteger(CodedInputStream* in, std::vector<int64_t>* integers) {
  uint64_t bits = 0;
  if (!in->ReadVarint64(&bits)) return false;
  integers->push_back(static_cast<int64_t>(bits));
  return true;
}

// Values that stand in one field, end to end.
template <typename Read>
bool ReadPacked(CodedInputStream* in, const Read& read) {
  std::string_view packed;
  if (!ReadDelimited(in, &packed)) return false;
  CodedInputStream values = Stream(packed);
  while (values.CurrentPosition() < static_cast<int>(packed.size())) {
    if (!read(&values)) return false;
  }
  return true;
}

bool DecodeBytesList(std::string_view list, std::vector<std::string_view>* out) {
  return VisitFields(list, [&](uint32_t tag, CodedInputStream* in) {
    if (tag != Tag(1, kDelimited)) return Skip(tag, in);
    return ReadDelimited(in, &out->emplace_back());
  });
}

bool DecodeFloatList(std::string_view list, std::vector<float>* out) {
  const auto read = [&](CodedInputStream* in) { return ReadFloat(in, out); };
  return VisitFields(list, [&](uint32_t tag, CodedInputStream* in) {
    if (tag == Tag(1, kDelimited)) return ReadPacked(in, read);
    return tag == Tag(1, kFixed32) ? read(in) : Skip(tag, in);
  });
}

bool DecodeInt64List(std::string_view list, std::vector<int64_t>* out) {
  const auto read = [&](CodedInputStream* in) { return ReadInteger(in, out); };
  return VisitFields(list, [&](uint32_t tag, CodedInputStream* in) {
    if (tag == Tag(1, kDelimited)) return ReadPacked(in, read);
    return tag == Tag(1, kVarint) ? read(in) : Skip(tag, in);
  });
}

// The name and the feature of a map's entry.
bool DecodeEntry(std::string_view entry, std::string_view* name, std::string_view* feature) {
  return VisitFields(entry, [&](uint32_t tag, CodedInputStream* in) {
    if (tag == Tag(1, kDelimited)) return ReadDelimited(in, name);
    return tag == Tag(2, kDelimited) ? ReadDelimited(in, feature) : Skip(tag, in);
  });
}

bool DecodeList(uint32_t field, std::string_view list, TfFeature* out) {
  constexpr TfFeatureKind kKinds[] = {TfFeatureKind::kNone, TfFeatureKind::kBytes, TfFeatureKind::kFloat,
                                      TfFeatureKind::kInt64};
  // Of a oneof the last kind counts; the same kind again goes on.
  if (out->kind != kKinds[field]) out->Clear();
  out->kind = kKinds[field];
  if (field == 1) return DecodeBytesList(list, &out->bytes);
  return field == 2 ? DecodeFloatList(list, &out->floats) : DecodeInt64List(list, &out->integers);
}

}  // namespace

void TfFeature::Clear() {
  kind = TfFeatureKind::kNone;
  bytes.clear();
  floats.clear();
  integers.clear();
}

Status VisitTfExample(std::string_view example,
                      const std::function<void(std::string_view name, std::string_view feature)>& visit) {
  bool sequence = false;
  const auto visit_entry = [&](uint32_t tag, CodedInputStream* in) {
    std::string_view entry, name, feature;
    if (tag != Tag(1, kDelimited)) return Skip(tag, in);
    if (!ReadDelimited(in, &entry) || !DecodeEntry(entry, &name, &feature)) return false;
    visit(name, feature);
    return true;
  };
  const bool whole = VisitFields(example, [&](uint32_t tag, CodedInputStream* in) {
    std::string_view features;
    sequence = sequence || tag == Tag(2, kDelimited);
    if (tag != Tag(1, kDelimited)) return Skip(tag, in);
    return ReadDelimited(in, &features) && VisitFields(features, visit_entry);
  });
  if (!whole) return NoExample();
  return sequence
             ? Unimplemented("expected a tf.Example, found a tf.SequenceExample: its lists of features are not read")
             : Status();
}

Status DecodeTfFeature(std::string_view feature, TfFeature* out) {
  out->Clear();
  const bool whole = VisitFields(feature, [&](uint32_t tag, CodedInputStream* in) {
    const uint32_t field = tag >> 3;
    std::string_view list;
    if ((tag & 7) != kDelimited || field < 1 || field > 3) return Skip(tag, in);
    return ReadDelimited(in, &list) && DecodeList(field, list, out);
  });
  return whole ? Status() : NoExample();
}

std::string_view TfFeatureKindName(TfFeatureKind kind) {
  constexpr std::string_view kNames[] = {"no values", "bytes", "float", "int64"};
  return kNames[static_cast<int>(kind)];
}

}  // namespace weir
