#include "proto/job_overrides.h"

#include <charconv>

#include <fmt/format.h>
#include <google/protobuf/descriptor.h>
#include <google/protobuf/io/tokenizer.h>
#include <google/protobuf/text_format.h>

#include "proto/nearest_name.h"

namespace weir {
namespace {

using google::protobuf::Descriptor;
using google::protobuf::EnumDescriptor;
using google::protobuf::EnumValueDescriptor;
using google::protobuf::FieldDescriptor;
using google::protobuf::Message;
using google::protobuf::OneofDescriptor;
using google::protobuf::Reflection;

// One part of a path: "tables[2]" is {"tables", 2}.
struct PathPart {
  std::string field;
  int index = -1;
};

template <typename Number>
bool ParseNumber(std::string_view text, Number* number) {
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), *number);
  return error == std::errc() && end == text.data() + text.size() && !text.empty();
}

Result<std::vector<PathPart>> ParsePath(std::string_view path) {
  std::vector<PathPart> parts;
  while (true) {
    const size_t dot = path.find('.');
    std::string_view text = path.substr(0, dot);
    PathPart part;
    if (const size_t bracket = text.find('['); bracket != std::string_view::npos) {
      const std::string_view index = text.substr(bracket + 1);
      if (index.size() < 2 || index.back() != ']' || !ParseNumber(index.substr(0, index.size() - 1), &part.index) ||
          part.index < 0) {
        return InvalidArgument(fmt::format("\"{}\" is no element of a list: expected a form like tables[0]", text));
      }
      text = text.substr(0, bracket);
    }
    part.field = std::string(text);
    parts.push_back(part);
    if (dot == std::string_view::npos) return parts;
    path.remove_prefix(dot + 1);
  }
}

Result<const FieldDescriptor*> FindField(const Descriptor& type, const PathPart& part) {
  const FieldDescriptor* field = type.FindFieldByName(part.field);
  if (field == nullptr) {
    const std::vector<std::string> known = FieldNames(type);
    return InvalidArgument(
        fmt::format("{} has no field \"{}\"{}", type.name(), part.field, SuggestName(part.field, known)));
  }
  if (part.index >= 0 && !field->is_repeated()) {
    return InvalidArgument(fmt::format("{} is no list, [{}] does not apply", part.field, part.index));
  }
  return field;
}

Status CheckIndex(const Message& message, const FieldDescriptor* field, int index) {
  const int size = message.GetReflection()->FieldSize(message, field);
  if (index >= 0 && index < size) return Status();
  return InvalidArgument(fmt::format("{} has {} elements: expected {}[i] with i from 0 to {}", field->name(), size,
                                     field->name(), size - 1));
}

Status CheckOneof(const Message& message, const FieldDescriptor* field) {
  const OneofDescriptor* oneof = field->containing_oneof();
  if (oneof == nullptr || !message.GetReflection()->HasOneof(message, oneof)) return Status();
  const FieldDescriptor* set = message.GetReflection()->GetOneofFieldDescriptor(message, oneof);
  if (set == field) return Status();
  return InvalidArgument(fmt::format("the job sets {}, which excludes {}; to change to it, first override {}={{}}",
                                     set->name(), field->name(), field->name()));
}

Status BadValue(const FieldDescriptor* field, std::string_view value, std::string_view expected) {
  return InvalidArgument(fmt::format("\"{}\" is no value for {}: expected {}", value, field->name(), expected));
}

// Sets a single field, element `index` of a list, or, with index -1 on a list, appends to it.
class ValueSetter {
 public:
  ValueSetter(Message* message, const FieldDescriptor* field, int index)
      : message_(message), reflection_(message->GetReflection()), field_(field), index_(index) {}

  Status Set(std::string_view value) {
    switch (field_->cpp_type()) {
      case FieldDescriptor::CPPTYPE_INT32:
        return SetNumber<int32_t>(value, "an integer of 32 bits", &Reflection::SetInt32, &Reflection::SetRepeatedInt32,
                                  &Reflection::AddInt32);
      case FieldDescriptor::CPPTYPE_INT64:
        return SetNumber<int64_t>(value, "an integer", &Reflection::SetInt64, &Reflection::SetRepeatedInt64,
                                  &Reflection::AddInt64);
      case FieldDescriptor::CPPTYPE_UINT64:
        return SetNumber<uint64_t>(value, "an integer that is not negative", &Reflection::SetUInt64,
                                   &Reflection::SetRepeatedUInt64, &Reflection::AddUInt64);
      case FieldDescriptor::CPPTYPE_DOUBLE:
        return SetNumber<double>(value, "a number", &Reflection::SetDouble, &Reflection::SetRepeatedDouble,
                                 &Reflection::AddDouble);
      case FieldDescriptor::CPPTYPE_BOOL:
        return SetBool(value);
      case FieldDescriptor::CPPTYPE_ENUM:
        return SetEnum(value);
      case FieldDescriptor::CPPTYPE_STRING:
        Store<std::string>(std::string(value), &Reflection::SetString, &Reflection::SetRepeatedString,
                           &Reflection::AddString);
        return Status();
      default:
        return Internal(fmt::format("overrides do not know the type of {}", field_->full_name()));
    }
  }

 private:
  template <typename T, typename One, typename Element, typename Append>
  void Store(T value, One one, Element element, Append append) {
    if (!field_->is_repeated()) {
      (reflection_->*one)(message_, field_, value);
    } else if (index_ >= 0) {
      (reflection_->*element)(message_, field_, index_, value);
    } else {
      (reflection_->*append)(message_, field_, value);
    }
  }

  template <typename T, typename One, typename Element, typename Append>
  Status SetNumber(std::string_view value, std::string_view expected, One one, Element element, Append append) {
    T number = 0;
    if (!ParseNumber(value, &number)) return BadValue(field_, value, expected);
    Store<T>(number, one, element, append);
    return Status();
  }

  Status SetBool(std::string_view value) {
    const bool yes = value == "true" || value == "1";
    if (!yes && value != "false" && value != "0") return BadValue(field_, value, "true or false");
    Store<bool>(yes, &Reflection::SetBool, &Reflection::SetRepeatedBool, &Reflection::AddBool);
    return Status();
  }

  Status SetEnum(std::string_view value) {
    const EnumDescriptor* type = field_->enum_type();
    const EnumValueDescriptor* known = type->FindValueByName(std::string(value));
    if (known != nullptr) {
      Store<const EnumValueDescriptor*>(known, &Reflection::SetEnum, &Reflection::SetRepeatedEnum,
                                        &Reflection::AddEnum);
      return Status();
    }
    std::vector<std::string> names;
    for (int i = 0; i < type->value_count(); ++i) names.push_back(type->value(i)->name());
    return BadValue(field_, value, fmt::format("one of {}", fmt::join(names, ", ")));
  }

  Message* message_;
  const Reflection* reflection_;
  const FieldDescriptor* field_;
  int index_;
};

// Keeps the parser's first message.
class FirstError : public google::protobuf::io::ErrorCollector {
 public:
  void AddError(int, int, const std::string& message) override {
    if (message_.empty()) message_ = message;
  }
  const std::string& message() const { return message_; }

 private:
  std::string message_;
};

// A message from its text in braces.
Status SetMessage(Message* message, const FieldDescriptor* field, int index, std::string_view value) {
  const Reflection* reflection = message->GetReflection();
  if (value.size() < 2 || value.front() != '{' || value.back() != '}') {
    return InvalidArgument(fmt::format("{} is a group of fields: name one of them ({}), or give all in braces: {}={{}}",
                                       field->name(), fmt::join(FieldNames(*field->message_type()), ", "),
                                       field->name()));
  }
  if (field->is_repeated()) WEIR_RETURN_IF_ERROR(CheckIndex(*message, field, index));
  Message* target = field->is_repeated() ? reflection->MutableRepeatedMessage(message, field, index)
                                         : reflection->MutableMessage(message, field);
  target->Clear();
  FirstError error;
  google::protobuf::TextFormat::Parser parser;
  parser.RecordErrorsTo(&error);
  if (parser.ParseFromString(std::string(value.substr(1, value.size() - 2)), target)) return Status();
  return BadValue(field, value, fmt::format("the text of a {}; {}", field->message_type()->name(), error.message()));
}

Status SetList(Message* message, const FieldDescriptor* field, std::string_view value) {
  message->GetReflection()->ClearField(message, field);
  if (value.empty()) return Status();
  ValueSetter setter(message, field, -1);
  while (true) {
    const size_t comma = value.find(',');
    WEIR_RETURN_IF_ERROR(setter.Set(value.substr(0, comma)));
    if (comma == std::string_view::npos) return Status();
    value.remove_prefix(comma + 1);
  }
}

Status SetLeaf(Message* message, const FieldDescriptor* field, int index, std::string_view value) {
  if (field->cpp_type() == FieldDescriptor::CPPTYPE_MESSAGE) return SetMessage(message, field, index, value);
  WEIR_RETURN_IF_ERROR(CheckOneof(*message, field));
  if (field->is_repeated()) {
    if (index < 0) return SetList(message, field, value);
    WEIR_RETURN_IF_ERROR(CheckIndex(*message, field, index));
  }
  return ValueSetter(message, field, index).Set(value);
}

// The message one part of the path further down.
Result<Message*> Descend(Message* message, const FieldDescriptor* field, int index) {
  if (field->cpp_type() != FieldDescriptor::CPPTYPE_MESSAGE) {
    return InvalidArgument(fmt::format("{} is a single value and has no fields", field->name()));
  }
  const Reflection* reflection = message->GetReflection();
  WEIR_RETURN_IF_ERROR(CheckOneof(*message, field));
  if (!field->is_repeated()) return reflection->MutableMessage(message, field);
  WEIR_RETURN_IF_ERROR(CheckIndex(*message, field, index));
  return reflection->MutableRepeatedMessage(message, field, index);
}

}  // namespace

std::vector<std::string> FieldNames(const Descriptor& type) {
  std::vector<std::string> names;
  for (int i = 0; i < type.field_count(); ++i) names.push_back(type.field(i)->name());
  return names;
}

Result<std::string> ApplyOverride(const std::string& override_text, Message* message) {
  const size_t equals = override_text.find('=');
  if (equals == std::string::npos || equals == 0) {
    return InvalidArgument("expected field.path=value, for example train.epochs=3");
  }
  const std::string path = override_text.substr(0, equals);
  const std::string_view value = std::string_view(override_text).substr(equals + 1);
  WEIR_ASSIGN_OR_RETURN(const std::vector<PathPart> parts, ParsePath(path));
  for (size_t i = 0; i + 1 < parts.size(); ++i) {
    WEIR_ASSIGN_OR_RETURN(const FieldDescriptor* field, FindField(*message->GetDescriptor(), parts[i]));
    WEIR_ASSIGN_OR_RETURN(message, Descend(message, field, parts[i].index));
  }
  WEIR_ASSIGN_OR_RETURN(const FieldDescriptor* field, FindField(*message->GetDescriptor(), parts.back()));
  WEIR_RETURN_IF_ERROR(SetLeaf(message, field, parts.back().index, value));
  return path;
}

}  // namespace weir
