#include "launch/job_defaults.h"

#include <google/protobuf/descriptor.h>

namespace weir {
namespace {

using google::protobuf::FieldDescriptor;
using google::protobuf::Message;
using google::protobuf::Reflection;

// Setting a field to what it reads as makes it a field that is set.
void SetDefault(const FieldDescriptor* field, Message* message) {
  const Reflection* reflection = message->GetReflection();
  switch (field->cpp_type()) {
    case FieldDescriptor::CPPTYPE_INT32:
      return reflection->SetInt32(message, field, field->default_value_int32());
    case FieldDescriptor::CPPTYPE_INT64:
      return reflection->SetInt64(message, field, field->default_value_int64());
    case FieldDescriptor::CPPTYPE_UINT64:
      return reflection->SetUInt64(message, field, field->default_value_uint64());
    case FieldDescriptor::CPPTYPE_DOUBLE:
      return reflection->SetDouble(message, field, field->default_value_double());
    case FieldDescriptor::CPPTYPE_BOOL:
      return reflection->SetBool(message, field, field->default_value_bool());
    case FieldDescriptor::CPPTYPE_ENUM:
      return reflection->SetEnum(message, field, field->default_value_enum());
    case FieldDescriptor::CPPTYPE_STRING:
      return reflection->SetString(message, field, field->default_value_string());
    default:
      return;
  }
}

void FillMessage(Message* message) {
  const Reflection* reflection = message->GetReflection();
  for (int i = 0; i < message->GetDescriptor()->field_count(); ++i) {
    const FieldDescriptor* field = message->GetDescriptor()->field(i);
    const bool group = field->cpp_type() == FieldDescriptor::CPPTYPE_MESSAGE;
    if (group && field->is_repeated()) {
      for (int j = 0; j < reflection->FieldSize(*message, field); ++j) {
        FillMessage(reflection->MutableRepeatedMessage(message, field, j));
      }
    } else if (group && reflection->HasField(*message, field)) {
      FillMessage(reflection->MutableMessage(message, field));
    } else if (!group && !field->is_repeated() && field->has_default_value() &&
               !reflection->HasField(*message, field)) {
      SetDefault(field, message);
    }
  }
}

}  // namespace

Job WithDefaults(const Job& job) {
  Job full = job;
  full.mutable_train();
  full.mutable_cluster();
  full.mutable_checkpoint();
  full.mutable_metrics();
  FillMessage(&full);
  return full;
}

}  // namespace weir
