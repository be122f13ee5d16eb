// job_reference DESCRIPTORS: prints docs/job.md from the comments and rules of proto/job.proto. DESCRIPTORS is what
// protoc writes with --include_source_info.
#include <cctype>
#include <cstdio>
#include <fstream>
#include <iterator>
#include <string>
#include <vector>

#include <fmt/format.h>
#include <google/protobuf/descriptor.h>
#include <google/protobuf/descriptor.pb.h>

#include "proto/field_options.pb.h"

namespace weir {
namespace {

using google::protobuf::Descriptor;
using google::protobuf::DescriptorPool;
using google::protobuf::FieldDescriptor;
using google::protobuf::SourceLocation;

// A comment as one paragraph.
std::string Comment(const SourceLocation& location) {
  std::string text;
  for (const char c : location.leading_comments) {
    if (c == '\n') {
      if (!text.empty() && text.back() != ' ') text += ' ';
    } else if (c == '|') {
      text += "\\|";
    } else if (!(c == ' ' && (text.empty() || text.back() == ' '))) {
      text += c;
    }
  }
  while (!text.empty() && text.back() == ' ') text.pop_back();
  return text;
}

template <typename Thing>
std::string CommentOf(const Thing* thing) {
  SourceLocation location;
  return thing->GetSourceLocation(&location) ? Comment(location) : "";
}

// The values of an enum, with their comments where they have some.
std::string EnumValues(const google::protobuf::EnumDescriptor* type) {
  std::vector<std::string> names;
  for (int i = 0; i < type->value_count(); ++i) names.push_back(type->value(i)->name());
  return fmt::format("{}", fmt::join(names, ", "));
}

std::string Anchor(const Descriptor* type) {
  std::string anchor = type->name();
  for (char& c : anchor) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  return fmt::format("[{}](#{})", type->name(), anchor);
}

std::string TypeName(const FieldDescriptor* field) {
  std::string name;
  switch (field->cpp_type()) {
    case FieldDescriptor::CPPTYPE_MESSAGE:
      name = Anchor(field->message_type());
      break;
    case FieldDescriptor::CPPTYPE_ENUM:
      name = EnumValues(field->enum_type());
      break;
    default:
      name = field->type_name();
  }
  return field->is_repeated() ? "list of " + name : name;
}

std::string Default(const FieldDescriptor* field) {
  if (!field->has_default_value()) return "";
  switch (field->cpp_type()) {
    case FieldDescriptor::CPPTYPE_INT32:
      return fmt::format("{}", field->default_value_int32());
    case FieldDescriptor::CPPTYPE_INT64:
      return fmt::format("{}", field->default_value_int64());
    case FieldDescriptor::CPPTYPE_UINT64:
      return fmt::format("{}", field->default_value_uint64());
    case FieldDescriptor::CPPTYPE_DOUBLE:
      return fmt::format("{}", field->default_value_double());
    case FieldDescriptor::CPPTYPE_BOOL:
      return field->default_value_bool() ? "true" : "false";
    case FieldDescriptor::CPPTYPE_ENUM:
      return field->default_value_enum()->name();
    default:
      return fmt::format("\"{}\"", field->default_value_string());
  }
}

std::string Range(const FieldSpec& spec) {
  std::vector<std::string> parts;
  if (spec.required()) parts.push_back("required");
  if (spec.has_min()) parts.push_back(fmt::format("≥ {}", spec.min()));
  if (spec.has_above()) parts.push_back(fmt::format("> {}", spec.above()));
  if (spec.has_max()) parts.push_back(fmt::format("≤ {}", spec.max()));
  if (spec.has_below()) parts.push_back(fmt::format("< {}", spec.below()));
  return fmt::format("{}", fmt::join(parts, ", "));
}

// "job.data.csv" for the messages reached by one path; types used in several places are named by type alone.
void PrintMessage(const Descriptor* type) {
  fmt::print("\n## {}\n", type->name());
  const std::string comment = CommentOf(type);
  if (!comment.empty()) fmt::print("\n{}\n", comment);
  if (type->field_count() == 0) {
    fmt::print("\nNo fields.\n");
    return;
  }
  fmt::print("\n| field | type | default | unit | range | |\n| --- | --- | --- | --- | --- | --- |\n");
  for (int i = 0; i < type->field_count(); ++i) {
    const FieldDescriptor* field = type->field(i);
    const FieldSpec& spec = field->options().GetExtension(weir::spec);
    const std::string choice =
        field->containing_oneof() == nullptr ? "" : fmt::format(" (one of `{}`)", field->containing_oneof()->name());
    fmt::print("| `{}` | {} | {} | {} | {} | {}{} |\n", field->name(), TypeName(field), Default(field), spec.unit(),
               Range(spec), CommentOf(field), choice);
  }
}

void CollectTypes(const Descriptor* type, std::vector<const Descriptor*>* types) {
  for (const Descriptor* seen : *types) {
    if (seen == type) return;
  }
  types->push_back(type);
  for (int i = 0; i < type->field_count(); ++i) {
    if (type->field(i)->cpp_type() == FieldDescriptor::CPPTYPE_MESSAGE) {
      CollectTypes(type->field(i)->message_type(), types);
    }
  }
}

// Paths that lead to each message, for overrides.
void PrintPaths(const Descriptor* type, const std::string& path, std::vector<std::string>* lines) {
  for (int i = 0; i < type->field_count(); ++i) {
    const FieldDescriptor* field = type->field(i);
    if (field->cpp_type() != FieldDescriptor::CPPTYPE_MESSAGE) continue;
    const std::string here = path + field->name() + (field->is_repeated() ? "[i]" : "");
    lines->push_back(fmt::format("| `{}` | {} |", here, Anchor(field->message_type())));
    PrintPaths(field->message_type(), here + ".", lines);
  }
}

constexpr char kIntroduction[] = R"(# The job

<!-- Generated from proto/job.proto by `build/job_reference`; a test holds it to that. Do not edit. -->

A job is one file in protobuf's text format. Every field can be overridden on the command line by its path:
`weir train job.textproto train.epochs=3 data.train.uri=a.parquet,b.parquet model.deepfm.hidden=64,32`. A list of values is
replaced as a whole by values between commas; `tables[0].dim=8` addresses one element, counted as the file has them; a
group of fields is replaced by its text in braces, `optimizers.dense.sgd={}`.

`weir validate JOB` prints a job as understood. Errors are reported all at once, each with its line.

A name may hold a range, `C[1-26]`, and then stands for that many (`[01-26]` keeps the zeros).

)";

int Print(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  const std::string bytes((std::istreambuf_iterator<char>(file)), std::istreambuf_iterator<char>());
  google::protobuf::FileDescriptorSet set;
  if (bytes.empty() || !set.ParseFromString(bytes)) {
    fmt::print(stderr, "job_reference: {} is no set of descriptors\n", path);
    return 1;
  }
  DescriptorPool pool;
  for (const auto& proto : set.file()) {
    if (pool.BuildFile(proto) != nullptr) continue;
    fmt::print(stderr, "job_reference: {} does not fit together\n", proto.name());
    return 1;
  }
  const Descriptor* job = pool.FindMessageTypeByName("weir.Job");
  if (job == nullptr) {
    fmt::print(stderr, "job_reference: {} holds no weir.Job\n", path);
    return 1;
  }
  fmt::print("{}Groups of fields, by path:\n\n| path | fields |\n| --- | --- |\n", kIntroduction);
  std::vector<std::string> lines;
  PrintPaths(job, "", &lines);
  for (const std::string& line : lines) fmt::print("{}\n", line);
  std::vector<const Descriptor*> types;
  CollectTypes(job, &types);
  for (const Descriptor* type : types) PrintMessage(type);
  return 0;
}

}  // namespace
}  // namespace weir

int main(int argc, char** argv) {
  if (argc != 2) {
    fmt::print(stderr, "usage: job_reference DESCRIPTORS\n");
    return 2;
  }
  return weir::Print(argv[1]);
}
