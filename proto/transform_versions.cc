#include "proto/transform_versions.h"

#include <vector>

#include <google/protobuf/descriptor.h>

#include "proto/field_options.pb.h"

namespace weir {
namespace {

using google::protobuf::FieldDescriptor;
using google::protobuf::Message;

void Collect(const Message& message, const std::string& prefix, std::map<std::string, int>* versions) {
  std::vector<const FieldDescriptor*> fields;
  message.GetReflection()->ListFields(message, &fields);
  for (const FieldDescriptor* field : fields) {
    const FieldSpec& spec = field->options().GetExtension(weir::spec);
    const std::string name = prefix + field->name();
    if (spec.has_version()) (*versions)[name] = spec.version();
    if (field->cpp_type() == FieldDescriptor::CPPTYPE_MESSAGE && !field->is_repeated()) {
      Collect(message.GetReflection()->GetMessage(message, field), name + ".", versions);
    }
  }
}

}  // namespace

std::map<std::string, int> TransformVersions(const Job& job) {
  std::map<std::string, int> versions;
  for (const FeatureConfig& feature : job.features()) Collect(feature, "", &versions);
  for (const ColumnConfig& column : job.columns()) Collect(column, "columns.", &versions);
  return versions;
}

google::protobuf::RepeatedPtrField<TransformVersion> RecordedTransforms(const Job& job) {
  google::protobuf::RepeatedPtrField<TransformVersion> recorded;
  for (const auto& [name, version] : TransformVersions(job)) {
    TransformVersion* transform = recorded.Add();
    transform->set_name(name);
    transform->set_version(version);
  }
  return recorded;
}

}  // namespace weir
